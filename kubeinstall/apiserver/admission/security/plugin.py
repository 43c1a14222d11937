"""PodSecurity: pods keep the level that their namespace's labels ask for.

Pods that break the enforced level are refused; workloads whose pods would break the level to warn
about get a warning. Upstream documentation: "Pod Security Admission".
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, refuse
from kubeinstall.apiserver.admission.security.policy import (
    LEVELS,
    Level,
    Policy,
    policy_of,
    violations,
)
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import Invalid

_WORKLOADS = frozenset(
    {
        ("", "podtemplates"),
        ("", "replicationcontrollers"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
    }
)
_MAX_EXISTING = 3000


class PodSecurity(Plugin):
    """Enforces and warns."""

    name = "PodSecurity"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._namespaces = Shared(registry, kind("namespaces"))
        self._policies: dict[str, tuple[dict[str, str], Policy]] = {}

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Namespaces, pods and what makes pods."""
        if operation not in (CREATE, UPDATE):
            return False
        if (group, plural) == ("", "pods"):
            return subresource in ("", "ephemeralcontainers", "resize")
        return not subresource and ((group, plural) in {*_WORKLOADS, ("", "namespaces")})

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`, and `Invalid` for a namespace with wrong labels."""
        obj = attributes.object
        if obj is None:
            return
        if attributes.resource.name == "namespaces":
            self._namespace(attributes, obj)
            return
        policy = self._policy(attributes.namespace)
        if policy == Policy():
            return
        if attributes.resource.name == "pods":
            self._pod(attributes, obj, policy)
        else:
            template = _template(attributes.resource.name, obj)
            if template is not None:
                _warn(attributes, policy.warn, template)

    def _policy(self, namespace: str) -> Policy:
        found = self._namespaces.get(namespace)
        labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        known = self._policies.get(namespace)
        if known is not None and known[0] is labels:
            return known[1]
        policy, _ = policy_of(labels)
        if len(self._policies) > 4 * len(self._namespaces.within()) + 64:
            self._policies.clear()
        self._policies[namespace] = (labels, policy)
        return policy

    def _pod(self, attributes: AdmissionAttributes, pod: Object, policy: Policy) -> None:
        if attributes.operation == UPDATE and not _significant(pod, attributes.old or {}):
            return
        broken = violations(policy.enforce, pod)
        if broken:
            raise refuse(attributes, f'violates PodSecurity "{policy.enforce}": {broken}')
        _warn(attributes, policy.warn, pod)

    def _namespace(self, attributes: AdmissionAttributes, namespace: Object) -> None:
        name = namespace["metadata"].get("name", "")
        policy, errors = policy_of(namespace["metadata"].get("labels") or {})
        before = ((attributes.old or {}).get("metadata") or {}).get("labels") or {}
        old_policy, old_errors = policy_of(before)
        if errors and not (attributes.old is not None and old_errors):
            raise Invalid("", "Namespace", name, errors)
        if attributes.operation != UPDATE or policy.enforce == old_policy.enforce:
            return
        stricter = LEVELS.index(policy.enforce.name) >= LEVELS.index(old_policy.enforce.name)
        if policy.enforce.name != "privileged" and stricter:
            self._warn_existing(attributes, name, policy.enforce)

    def _warn_existing(self, attributes: AdmissionAttributes, name: str, level: Level) -> None:
        broken: dict[str, list[str]] = {}
        for pod in self._registry.list(kind("pods"), name)[:_MAX_EXISTING]:
            found = violations(level, pod)
            if found:
                # The reasons only: details of every pod would be too long to read.
                short = ", ".join(part.split(" (")[0] for part in found.split("), "))
                broken.setdefault(short, []).append(pod["metadata"]["name"])
        if not broken:
            return
        attributes.warnings.append(
            f'existing pods in namespace "{name}" violate the new PodSecurity enforce level '
            f'"{level}"'
        )
        for reasons, names in sorted(broken.items(), key=lambda item: min(item[1])):
            names.sort()
            more = len(names) - 1
            others = f" (and {more} other pod{'s' if more > 1 else ''})" if more else ""
            attributes.warnings.append(f"{names[0]}{others}: {reasons}")


def _warn(attributes: AdmissionAttributes, level: Level, pod: Object) -> None:
    broken = violations(level, pod)
    if broken:
        attributes.warnings.append(f'would violate PodSecurity "{level}": {broken}')


def _template(plural: str, obj: Object) -> Object | None:
    holder: Object = obj.get("spec") or {}
    if plural == "podtemplates":
        holder = obj
    elif plural == "cronjobs":
        holder = (holder.get("jobTemplate") or {}).get("spec") or {}
    template = holder.get("template")
    if not template or not template.get("spec"):
        return None
    return {"metadata": template.get("metadata") or {}, "spec": template["spec"]}


def _significant(new: Object, old: Object) -> bool:
    """Whether an update changes anything that levels look at: all but images and what ages."""

    def relevant(pod: Object) -> Object:
        spec = {k: v for k, v in (pod.get("spec") or {}).items() if k not in _AGING}
        for field in ("initContainers", "containers", "ephemeralContainers"):
            spec[field] = [
                {k: v for k, v in container.items() if k not in ("image", "resources")}
                for container in spec.get(field) or ()
            ]
        annotations = (pod.get("metadata") or {}).get("annotations") or {}
        spec["annotations"] = {k: v for k, v in annotations.items() if "apparmor" in k}
        return spec

    return relevant(new) != relevant(old)


_AGING = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"})
