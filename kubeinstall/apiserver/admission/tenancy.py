"""Plug-ins for clusters with several tenants, off by default: NamespaceAutoProvision,
PodNodeSelector, PodTolerationRestriction, LimitPodHardAntiAffinityTopology,
OwnerReferencesPermissionEnforcement."""

from __future__ import annotations

import orjson

from kubeinstall.api import resources
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import POD, Plugin, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.admission.usage import is_best_effort
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes, Attributes
from kubeinstall.errors import AlreadyExists

_SCHEDULER = "scheduler.alpha.kubernetes.io/"
_HOSTNAME = "kubernetes.io/hostname"
_MEMORY_PRESSURE: Object = {
    "key": "node.kubernetes.io/memory-pressure",
    "operator": "Exists",
    "effect": "NoSchedule",
}


class NamespaceAutoProvision(Plugin):
    """Makes a namespace when the first object in it is made."""

    name = "NamespaceAutoProvision"
    operations = frozenset({CREATE})

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._namespaces = Shared(registry, kind("namespaces"))

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Every create but of namespaces themselves."""
        return operation in self.operations and plural != "namespaces"

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Create the namespace, unless nothing is to be stored."""
        name = attributes.namespace
        if attributes.dry_run or not name or not attributes.resource.namespaced:
            return
        if self._namespaces.get(name) is not None:
            return
        try:
            await self._registry.create(
                kind("namespaces"),
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            )
        except AlreadyExists:
            return


class _NamespacePlugin(Plugin):
    """A plug-in for pods that reads annotations of their namespace."""

    targets = frozenset({POD})

    def __init__(self, registry: Registry) -> None:
        self._namespaces = Shared(registry, kind("namespaces"))

    def _annotation(self, attributes: AdmissionAttributes, name: str) -> str:
        found = self._namespaces.get(attributes.namespace) or {}
        annotations = (found.get("metadata") or {}).get("annotations") or {}
        return str(annotations.get(f"{_SCHEDULER}{name}", ""))


class PodNodeSelector(_NamespacePlugin):
    """Pods of a namespace run on the namespace's nodes."""

    name = "PodNodeSelector"
    operations = frozenset({CREATE})

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Add the namespace's node selector. Raises `Forbidden` when the pod's contradicts it."""
        text = self._annotation(attributes, "node-selector")
        if not text or attributes.object is None:
            return
        wanted = {
            key.strip(): value.strip()
            for key, _, value in (term.partition("=") for term in text.split(","))
        }
        spec = attributes.object["spec"]
        present = spec.get("nodeSelector") or {}
        if any(present.get(key, value) != value for key, value in wanted.items()):
            raise refuse(
                attributes,
                "pod node label selector conflicts with its namespace node label selector",
            )
        spec["nodeSelector"] = {**present, **wanted}


class PodTolerationRestriction(_NamespacePlugin):
    """Pods of a namespace tolerate what the namespace says, and only what it allows."""

    name = "PodTolerationRestriction"

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Add the namespace's default tolerations."""
        if attributes.object is None or attributes.operation != CREATE:
            return
        spec = attributes.object["spec"]
        present = spec.get("tolerations") or []
        added = [t for t in self._list(attributes, "defaultTolerations") if t not in present]
        if not is_best_effort(attributes.object) and _MEMORY_PRESSURE not in present:
            added.append(dict(_MEMORY_PRESSURE))
        if added:
            spec["tolerations"] = [*present, *added]

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` for a toleration that is not on the namespace's list."""
        allowed = self._list(attributes, "tolerationsWhitelist")
        if not allowed or attributes.object is None:
            return
        for toleration in attributes.object["spec"].get("tolerations") or ():
            if toleration != _MEMORY_PRESSURE and not any(_within(toleration, a) for a in allowed):
                raise refuse(
                    attributes,
                    "pod tolerations (possibly merged with namespace default tolerations) "
                    "conflict with its namespace whitelist",
                )

    def _list(self, attributes: AdmissionAttributes, name: str) -> list[Object]:
        text = self._annotation(attributes, name)
        try:
            found = orjson.loads(text) if text else []
        except orjson.JSONDecodeError as error:
            raise refuse(attributes, f"namespace annotation {_SCHEDULER}{name}: {error}") from error
        return list(found)


def _within(toleration: Object, allowed: Object) -> bool:
    """Whether `allowed` tolerates at least what `toleration` does."""
    for field in ("key", "effect"):
        if allowed.get(field) and allowed[field] != toleration.get(field):
            return False
    if allowed.get("operator") == "Exists":
        return True
    return toleration.get("operator") != "Exists" and (
        toleration.get("value", "") == allowed.get("value", "")
    )


class LimitPodHardAntiAffinityTopology(Plugin):
    """Pods keep others away from their node, not from a whole zone."""

    name = "LimitPodHardAntiAffinityTopology"
    targets = frozenset({POD})

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` for another topology key than the host name."""
        spec = (attributes.object or {}).get("spec") or {}
        affinity = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            key = term.get("topologyKey", "")
            if key != _HOSTNAME:
                raise refuse(
                    attributes,
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} "
                    f"but only key {_HOSTNAME} is allowed",
                )


class OwnerReferencesPermissionEnforcement(Plugin):
    """Who may not delete an object may not have it deleted with an owner of their choice."""

    name = "OwnerReferencesPermissionEnforcement"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything but statuses, where owners do not change."""
        return operation in (CREATE, UPDATE) and subresource != "status"

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        after = _owners(attributes.object)
        before = _owners(attributes.old)
        if after == before or (attributes.operation == CREATE and not after):
            return
        resource = attributes.resource
        decision = self._authorizer.authorize(
            Attributes(
                attributes.user,
                "delete",
                resource.group,
                resource.version,
                resource.name,
                attributes.subresource,
                attributes.namespace,
                attributes.name,
            )
        )
        if not decision.allowed:
            raise refuse(
                attributes,
                f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, <nil>",
            )
        blocking = {owner.get("uid") for owner in before if owner.get("blockOwnerDeletion")}
        for owner in after:
            if owner.get("blockOwnerDeletion") and owner.get("uid") not in blocking:
                self._check_blocking(attributes, owner)

    def _check_blocking(self, attributes: AdmissionAttributes, owner: Object) -> None:
        group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
        found = resources.find_kind(group, version, owner.get("kind", ""))
        why = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
        if found is None:
            raise refuse(
                attributes,
                f"{why}APIVersion {owner.get('apiVersion')} Kind {owner.get('kind')}",
            )
        decision = self._authorizer.authorize(
            Attributes(
                attributes.user,
                "update",
                group,
                version,
                found.name,
                "finalizers",
                attributes.namespace if found.namespaced else "",
                owner.get("name", ""),
            )
        )
        if not decision.allowed:
            raise refuse(
                attributes,
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you "
                f"can't set finalizers on: {decision.reason}, <nil>",
            )


def _owners(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("ownerReferences") or []
