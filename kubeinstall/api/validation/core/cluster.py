"""Nodes, Namespaces, ServiceAccounts, Events, ReplicationControllers, PodTemplates."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import cidr, label_value, parse_network, qualified_name
from kubeinstall.api.validation.labels import check_label_name, check_labels
from kubeinstall.api.validation.pod.resources import check_quantity
from kubeinstall.api.validation.pod.scheduling import EFFECTS
from kubeinstall.api.validation.pod.spec import check_pod_template

_PSA_LEVELS = ("privileged", "baseline", "restricted")
_PSA = "pod-security.kubernetes.io/"


def check_node(errors: Errors, node: Object) -> None:
    """A Node: taints and pod CIDRs; status is the kubelet's own."""
    spec = node.get("spec") or {}
    _check_taints(errors, spec.get("taints") or [], "spec.taints")
    cidrs = spec.get("podCIDRs") or []
    for index, text in enumerate(cidrs):
        errors.each(f"spec.podCIDRs[{index}]", text, cidr(text))
    if len(cidrs) > 2:
        errors.invalid(
            "spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"
        )
    versions = [network.version for network in map(parse_network, cidrs) if network is not None]
    if len(versions) == 2 and versions[0] == versions[1]:
        errors.invalid(
            "spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"
        )
    for name, text in ((node.get("status") or {}).get("capacity") or {}).items():
        check_quantity(errors, name, text, f"status.capacity[{name}]")


def _check_taints(errors: Errors, taints: list[Object], path: str) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        at, key, effect = f"{path}[{index}]", taint.get("key", ""), taint.get("effect", "")
        check_label_name(errors, key, f"{at}.key")
        value = taint.get("value", "")
        if value:
            problems = label_value(value)
            if problems:
                errors.invalid(f"{at}.value", value, ";".join(problems))
        if not effect:
            errors.required(f"{at}.effect")
        else:
            errors.one_of(f"{at}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            errors.duplicate(at, taint)
        seen.add((key, effect))


def check_node_update(errors: Errors, new: Object, old: Object) -> None:
    """providerID and podCIDRs may be set once."""
    now, before = new.get("spec") or {}, old.get("spec") or {}
    check_node(errors, new)
    if before.get("podCIDRs") and now.get("podCIDRs") != before["podCIDRs"]:
        errors.forbidden(
            "spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'
        )
    if before.get("providerID") and now.get("providerID") != before["providerID"]:
        errors.forbidden(
            "spec.providerID", 'node updates may not change providerID except from "" to valid'
        )


def check_namespace(errors: Errors, namespace: Object) -> None:
    """Finalizers of the spec, and the levels that Pod Security admission reads from labels."""
    labels = namespace["metadata"].get("labels") or {}
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(f"{_PSA}{mode}"), labels.get(f"{_PSA}{mode}-version")
        if level is not None and level not in _PSA_LEVELS:
            message = "must be one of privileged, baseline, restricted"
            errors.invalid(f"metadata.labels[{_PSA}{mode}]", level, message)
        if version is not None and version != "latest" and not _is_minor(version):
            message = 'must be "latest" or "v1.x"'
            errors.invalid(f"metadata.labels[{_PSA}{mode}-version]", version, message)
    for name in (namespace.get("spec") or {}).get("finalizers") or []:
        at = "spec.finalizers"
        errors.each(at, name, qualified_name(name))
        if "/" not in name and name != "kubernetes":
            message = "name is neither a standard finalizer name nor is it fully qualified"
            errors.invalid(at, name, message)


def _is_minor(version: str) -> bool:
    return version.startswith("v1.") and version[3:].isdecimal()


def check_controller(errors: Errors, controller: Object) -> None:
    """A ReplicationController."""
    spec = controller.get("spec") or {}
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    selector = spec.get("selector") or {}
    if not selector:
        errors.required("spec.selector")
    errors.not_negative("spec.replicas", spec.get("replicas"))
    template = spec.get("template")
    if template is None:
        errors.required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        message = "`selector` does not match template `labels`"
        errors.invalid("spec.template.metadata.labels", labels or None, message)
    check_pod_template(errors, template, "spec.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy != "Always":
        errors.not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    check_labels(errors, selector, "spec.selector")


def check_template(errors: Errors, item: Object) -> None:
    """A PodTemplate."""
    check_pod_template(errors, item.get("template") or {}, "template")


def check_event(errors: Errors, event: Object) -> None:
    """An Event lives in the namespace of what it is about."""
    involved = event.get("involvedObject") or {}
    namespace, about = event["metadata"].get("namespace", ""), involved.get("namespace", "")
    home = about == namespace if about else namespace in {"default", "kube-system"}
    if not home:
        errors.invalid("involvedObject.namespace", about, "does not match event.namespace")
    if event.get("eventTime"):
        _check_new_event(errors, event)


def _check_new_event(errors: Errors, event: Object) -> None:
    controller = event.get("reportingComponent", "")
    if not controller:
        errors.required("reportingController")
    else:
        errors.each("reportingController", controller, qualified_name(controller))
    if not event.get("reportingInstance"):
        errors.required("reportingInstance")
    for field, most in (
        ("reportingInstance", 128),
        ("action", 128),
        ("reason", 128),
        ("message", 1024),
    ):
        value = event.get(field, "")
        if field in {"action", "reason"} and not value:
            errors.required(field)
        if len(value) > most:
            errors.invalid(field, "", f"can have at most {most} characters")
    if event.get("type", "") not in {"Normal", "Warning"}:
        kind = event.get("type", "")
        errors.invalid("type", kind, f"has invalid value: {kind}")
