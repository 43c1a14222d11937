"""How much of a quota an object uses, and which quotas look at it.

Upstream documentation: "Resource Quotas". Names of amounts are those of `spec.hard`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeinstall.api import times
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.resources import pod_limits, pod_requests

Amounts = dict[str, Quantity]
_ONE = Quantity.parse("1")
#: Resources of core that quotas also know by their bare name.
_BARE = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_POD_AMOUNTS = frozenset({"pods", "cpu", "memory", "ephemeral-storage", "count/pods"})
#: Amounts that every container has to state where a quota limits them.
_STATED = frozenset(
    {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
)


def count_name(resource: Resource) -> str:
    """`count/deployments.apps`, and `count/pods` for core."""
    return f"count/{resource.group_resource}"


def usage(resource: Resource, obj: Object) -> Amounts:
    """Everything that the object uses."""
    amounts: Amounts = {count_name(resource): _ONE}
    if resource.group:
        return amounts
    if resource.name == "pods":
        if not is_finished(obj):
            amounts.update(_pod_usage(pod_requests(obj), pod_limits(obj)))
        return amounts
    if resource.name in _BARE:
        amounts[resource.name] = _ONE
    if resource.name == "services":
        amounts.update(_service_usage(obj))
    elif resource.name == "persistentvolumeclaims":
        amounts.update(_claim_usage(obj))
    return amounts


def is_finished(pod: Object) -> bool:
    """Whether a pod uses nothing any more: done, or deleted longer ago than its grace."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    metadata = pod.get("metadata") or {}
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    if not deleted or grace is None:
        return False
    return time.time() > times.unix(deleted) + float(grace)


def _pod_usage(requests: Amounts, limits: Amounts) -> Amounts:
    amounts: Amounts = {"pods": _ONE}
    for name, amount in requests.items():
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            amounts[name] = amount
        amounts[f"requests.{name}"] = amount
    for name in ("cpu", "memory", "ephemeral-storage"):
        if name in limits:
            amounts[f"limits.{name}"] = limits[name]
    return amounts


def _service_usage(service: Object) -> Amounts:
    spec = service.get("spec") or {}
    ports = Quantity.parse(str(len(spec.get("ports") or ())))
    if spec.get("type") == "NodePort":
        return {"services.nodeports": ports}
    if spec.get("type") == "LoadBalancer":
        amounts: Amounts = {"services.loadbalancers": _ONE}
        if spec.get("allocateLoadBalancerNodePorts") is not False:
            amounts["services.nodeports"] = ports
        return amounts
    return {}


def _claim_usage(claim: Object) -> Amounts:
    spec = claim.get("spec") or {}
    amounts: Amounts = {}
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get(
        "storageClassName"
    )
    if storage is not None:
        amounts["requests.storage"] = Quantity.parse(storage)
    if name:
        amounts[f"{name}{_CLASS_SUFFIX}persistentvolumeclaims"] = _ONE
        if storage is not None:
            amounts[f"{name}{_CLASS_SUFFIX}requests.storage"] = Quantity.parse(storage)
    return amounts


def concerns(resource: Resource, amount: str) -> bool:
    """Whether objects of this resource can use this amount."""
    if amount == count_name(resource):
        return True
    if resource.group:
        return False
    match resource.name:
        case "pods":
            return (
                amount in _POD_AMOUNTS
                or amount.startswith(("limits.", "hugepages-"))
                or (amount.startswith("requests.") and amount != "requests.storage")
            )
        case "services":
            return amount in ("services", "services.nodeports", "services.loadbalancers")
        case "persistentvolumeclaims":
            return amount in (resource.name, "requests.storage") or _CLASS_SUFFIX in amount
    return amount == resource.name and resource.name in _BARE


def unstated(pod: Object, limited: set[str]) -> str:
    """Which limited amounts containers leave open: `must specify cpu for: a,b`, or ""."""
    required = limited & _STATED
    if not required or (pod["spec"].get("resources") or {}):
        return ""
    missing: dict[str, set[str]] = {}
    for field in ("containers", "initContainers"):
        for container in pod["spec"].get(field) or ():
            resources = container.get("resources") or {}
            requests = {n: Quantity.parse(v) for n, v in (resources.get("requests") or {}).items()}
            limits = {n: Quantity.parse(v) for n, v in (resources.get("limits") or {}).items()}
            for name in required - set(_pod_usage(requests, limits)):
                missing.setdefault(name, set()).add(container["name"])
    if not missing:
        return ""
    told = [f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing)]
    return f"must specify {'; '.join(told)}"


def in_scope(quota: Object, resource: Resource, obj: Object) -> bool:
    """Whether all scopes of the quota hold for the object."""
    spec = quota.get("spec") or {}
    requirements = [{"scopeName": s, "operator": "Exists"} for s in spec.get("scopes") or ()]
    requirements += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not requirements:
        return True
    if resource.group or resource.name not in ("pods", "persistentvolumeclaims"):
        return False
    return all(_scope_holds(requirement, resource, obj) for requirement in requirements)


def _scope_holds(requirement: Object, resource: Resource, obj: Object) -> bool:
    scope, operator = requirement.get("scopeName", ""), requirement.get("operator", "Exists")
    values = requirement.get("values") or []
    if resource.name == "persistentvolumeclaims":
        if scope != "VolumeAttributesClass":
            return False
        name = (obj.get("spec") or {}).get("volumeAttributesClassName") or ""
        return _selects(operator, values, name)
    if scope == "PriorityClass":
        return _selects(operator, values, obj["spec"].get("priorityClassName") or "")
    holds = _POD_SCOPES.get(scope)
    return holds is not None and holds(obj)


def _selects(operator: str, values: list[str], value: str) -> bool:
    match operator:
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
        case "In":
            return value in values
        case "NotIn":
            return value not in values
    return False


def _terminating(pod: Object) -> bool:
    deadline = pod["spec"].get("activeDeadlineSeconds")
    return deadline is not None and int(deadline) >= 0


def is_best_effort(pod: Object) -> bool:
    """Whether no container asks for cpu or memory."""
    spec = pod["spec"]
    holders = [spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return not any(
        amount
        for holder in holders
        for field in ("requests", "limits")
        for name, amount in ((holder.get("resources") or {}).get(field) or {}).items()
        if name in ("cpu", "memory") and Quantity.parse(amount)
    )


def _cross_namespace(pod: Object) -> bool:
    affinity = pod["spec"].get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(field) or {}
        required = terms.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        preferred = terms.get("preferredDuringSchedulingIgnoredDuringExecution") or []
        for term in (*required, *(p.get("podAffinityTerm") or {} for p in preferred)):
            if term.get("namespaces") or term.get("namespaceSelector") is not None:
                return True
    return False


_POD_SCOPES: dict[str, Callable[[Object], bool]] = {
    "Terminating": _terminating,
    "NotTerminating": lambda pod: not _terminating(pod),
    "BestEffort": is_best_effort,
    "NotBestEffort": lambda pod: not is_best_effort(pod),
    "CrossNamespacePodAffinity": _cross_namespace,
}
