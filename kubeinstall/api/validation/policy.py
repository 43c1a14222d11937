"""policy, scheduling, autoscaling, coordination and node groups."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation.apps import check_at_most_all, check_int_or_percent
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_label, dns1123_subdomain, path_segment
from kubeinstall.api.validation.labels import check_label_selector, check_labels
from kubeinstall.api.validation.pod.resources import check_quantity
from kubeinstall.api.validation.pod.scheduling import check_tolerations

HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM_PRIORITIES = {
    "system-node-critical": 2_000_001_000,
    "system-cluster-critical": 2_000_000_000,
}


def check_budget(errors: Errors, item: Object) -> None:
    """A PodDisruptionBudget."""
    spec = item.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            check_int_or_percent(errors, value, f"spec.{field}")
            check_at_most_all(errors, value, f"spec.{field}")
    check_label_selector(errors, spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None:
        errors.one_of("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))


def check_priority_class(errors: Errors, item: Object) -> None:
    """A PriorityClass; `system-` and values above a billion are the system's."""
    name, value = item["metadata"].get("name", ""), item.get("value", 0)
    if name.startswith("system-"):
        if name not in _SYSTEM_PRIORITIES:
            reason = f"{name} is not a known system priority class"
        elif value != _SYSTEM_PRIORITIES[name]:
            reason = f"value of {name} PriorityClass must be {_SYSTEM_PRIORITIES[name]}"
        else:
            reason = ""
        if reason:
            message = f"priority class names with 'system-' prefix are reserved for system use only. error: {reason}"
            errors.forbidden("metadata.name", message)
    elif value > HIGHEST_USER_PRIORITY:
        message = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.forbidden("value", message)
    if item.get("preemptionPolicy") is not None:
        errors.one_of(
            "preemptionPolicy", item["preemptionPolicy"], ("Never", "PreemptLowerPriority")
        )


def check_priority_class_update(errors: Errors, new: Object, old: Object) -> None:
    """Value and preemption policy are fixed."""
    if new.get("value") != old.get("value"):
        errors.forbidden("value", "may not be changed in an update.")
    errors.immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def check_lease(errors: Errors, item: Object) -> None:
    """A Lease."""
    spec = item.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if transitions is not None and transitions < 0:
        errors.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")
    if spec.get("preferredHolder") is not None and not spec.get("strategy"):
        errors.forbidden("spec.preferredHolder", "may only be specified when `strategy` is defined")


def check_runtime_class(errors: Errors, item: Object) -> None:
    """A RuntimeClass."""
    handler = item.get("handler", "")
    errors.each("handler", handler, dns1123_label(handler))
    for name, text in ((item.get("overhead") or {}).get("podFixed") or {}).items():
        check_quantity(errors, name, text, f"overhead.podFixed[{name}]")
    scheduling = item.get("scheduling")
    if scheduling is not None:
        check_labels(errors, scheduling.get("nodeSelector"), "scheduling.nodeSelector")
        check_tolerations(errors, scheduling.get("tolerations") or [], "scheduling.tolerations")


def check_runtime_class_update(errors: Errors, new: Object, old: Object) -> None:
    """The handler is fixed."""
    errors.immutable("handler", new.get("handler"), old.get("handler"))


def check_autoscaler(errors: Errors, item: Object) -> None:
    """A HorizontalPodAutoscaler (autoscaling/v2)."""
    spec = item.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        errors.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        errors.required("spec.maxReplicas", "must be set and greater than 0")
    if least is not None and most < least:
        errors.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    _check_target(errors, spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or []):
        _check_metric(errors, metric, f"spec.metrics[{index}]")
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if behavior.get(direction) is not None:
            _check_scaling(errors, behavior[direction], f"spec.behavior.{direction}")


def _check_target(errors: Errors, reference: Object, path: str) -> None:
    kind, name, version = (
        reference.get("kind", ""),
        reference.get("name", ""),
        reference.get("apiVersion", ""),
    )
    if not kind:
        errors.required(f"{path}.kind")
    else:
        errors.each(f"{path}.kind", kind, path_segment(kind))
    if not name:
        errors.required(f"{path}.name")
    else:
        errors.each(f"{path}.name", name, path_segment(name))
    if kind and "/" not in version and not (version == "v1" and kind == "ReplicationController"):
        errors.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group")


_METRICS = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def _check_metric(errors: Errors, metric: Object, path: str) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric source type")
        return
    field = _METRICS.get(kind)
    if field is None:
        errors.not_supported(f"{path}.type", kind, sorted(_METRICS))
        return
    source = metric.get(field)
    if source is None:
        errors.required(f"{path}.{field}", "must populate information for the given metric source")
        return
    target, at = source.get("target") or {}, f"{path}.{field}"
    if kind in {"Resource", "ContainerResource"} and not source.get("name"):
        errors.required(f"{at}.name", "must specify a resource name")
    if kind == "ContainerResource" and not source.get("container"):
        errors.required(f"{at}.container", "must specify a container name")
    if kind in {"Pods", "Object", "External"} and not (source.get("metric") or {}).get("name"):
        errors.required(f"{at}.metric.name", "must specify a metric name")
    if not target.get("type"):
        errors.required(f"{at}.target.type", "must specify a metric target type")
    else:
        errors.one_of(f"{at}.target.type", target["type"], ("AverageValue", "Utilization", "Value"))
    if not any(
        target.get(name) is not None for name in ("averageUtilization", "averageValue", "value")
    ):
        message = "must set either a target raw value or a target utilization"
        errors.required(f"{at}.target.averageUtilization", message)


def _check_scaling(errors: Errors, rules: Object, path: str) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.invalid(
            f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"
        )
    if window is not None and window > 3600:
        errors.invalid(
            f"{path}.stabilizationWindowSeconds", window, "must be less than or equal to 3600"
        )
    if rules.get("selectPolicy") is not None:
        errors.one_of(f"{path}.selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or []
    if not policies:
        errors.required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        at = f"{path}.policies[{index}]"
        errors.one_of(f"{at}.type", policy.get("type", ""), ("Percent", "Pods"))
        if policy.get("value", 0) <= 0:
            errors.invalid(f"{at}.value", policy.get("value", 0), "must be greater than zero")
        seconds = policy.get("periodSeconds", 0)
        if seconds <= 0:
            errors.invalid(f"{at}.periodSeconds", seconds, "must be greater than zero")
        elif seconds > 1800:
            errors.invalid(f"{at}.periodSeconds", seconds, "must be less than or equal to 1800")


def check_lease_candidate(errors: Errors, item: Object) -> None:
    """A LeaseCandidate names the lease that it wants."""
    name = (item.get("spec") or {}).get("leaseName", "")
    if not name:
        errors.required("spec.leaseName")
    else:
        errors.each("spec.leaseName", name, dns1123_subdomain(name))
