"""What objects use of a quota, under upstream's resource names."""

from __future__ import annotations

from collections.abc import Callable

from kubeinstall.api import times
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import pods

Usage = dict[str, Quantity]
_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def add(total: Usage, part: Usage) -> None:
    """Add `part` to `total` in place."""
    for name, amount in part.items():
        total[name] = total[name] + amount if name in total else amount


def _one(name: str) -> Usage:
    return {name: Quantity.of(1)}


def of_pod(pod: Object) -> Usage:
    """A pod's: counts, requests and limits. An ended one only counts as an object."""
    used = _one("count/pods")
    if pods.finished(pod) or _overdue(pod):
        return used
    used |= _one("pods")
    for name, amount in _pod_total(pod["spec"], "requests").items():
        if name in _PLAIN or name.startswith("hugepages-"):
            used[name] = amount
        used[f"requests.{name}"] = amount
    for name, amount in _pod_total(pod["spec"], "limits").items():
        if name in _PLAIN:
            used[f"limits.{name}"] = amount
    return used


def _overdue(pod: Object) -> bool:
    """Its node has not confirmed the end in time: it must not block others for ever."""
    meta = pod["metadata"]
    end, grace = meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds")
    return bool(end and grace is not None and times.unix(times.now()) > times.unix(end) + grace)


def _pod_total(spec: Object, kind: str) -> Usage:
    """Requests or limits of a pod: containers together, or the largest moment of its start."""
    total: Usage = {}
    for container in spec.get("containers") or ():
        add(total, _amounts(container, kind))
    sidecars: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or ():
        mine = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            add(sidecars, mine)
            mine = dict(sidecars)
        else:
            add(mine, sidecars)
        _raise_to(peak, mine)
    add(total, sidecars)
    _raise_to(total, peak)
    # What the pod as a whole asks for counts instead of its containers' sum.
    total |= _amounts(spec, kind)
    for name, text in (spec.get("overhead") or {}).items():
        if kind == "requests" or name in total:
            add(total, {name: Quantity.parse(text)})
    return total


def _raise_to(total: Usage, other: Usage) -> None:
    for name, amount in other.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def _amounts(container: Object, kind: str) -> Usage:
    listed = ((container.get("resources") or {}).get(kind)) or {}
    return {name: Quantity.parse(text) for name, text in listed.items()}


def of_service(service: Object) -> Usage:
    """A Service's: node ports and load balancers too."""
    used = _one("count/services") | _one("services")
    spec = service["spec"]
    kind, count = spec.get("type"), len(spec.get("ports") or ())
    node_ports = count if kind == "NodePort" else 0
    if kind == "LoadBalancer":
        used |= _one("services.loadbalancers")
        if spec.get("allocateLoadBalancerNodePorts", True):
            node_ports = count
        else:
            node_ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
    used["services.nodeports"] = Quantity.of(node_ports)
    return used


def of_claim(claim: Object) -> Usage:
    """A claim's: its storage, in total and by class."""
    used = _one("count/persistentvolumeclaims") | _one("persistentvolumeclaims")
    notes = claim["metadata"].get("annotations") or {}
    storage_class = notes.get(_BETA_CLASS) or claim["spec"].get("storageClassName") or ""
    if storage_class:
        used |= _one(f"{storage_class}{_CLASS_SUFFIX}persistentvolumeclaims")
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    if "storage" in requests:
        amount = Quantity.parse(requests["storage"])
        used["requests.storage"] = amount
        if storage_class:
            used[f"{storage_class}{_CLASS_SUFFIX}requests.storage"] = amount
    return used


EVALUATORS: dict[str, Callable[[Object], Usage]] = {
    "v1/pods": of_pod,
    "v1/services": of_service,
    "v1/persistentvolumeclaims": of_claim,
}


def pod_in_scopes(quota: Object, pod: Object) -> bool:
    """The quota's scopes and scopeSelector all match the pod."""
    spec = quota["spec"]
    terms = [{"scopeName": s, "operator": "Exists"} for s in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return all(_in_scope(term, pod) for term in terms)


def _in_scope(term: Object, pod: Object) -> bool:
    name: str = term["scopeName"]
    spec: Object = pod["spec"]
    if name in {"Terminating", "NotTerminating"}:
        bounded = spec.get("activeDeadlineSeconds") is not None
        return bool(bounded == (name == "Terminating"))
    if name in {"BestEffort", "NotBestEffort"}:
        return bool(_best_effort(spec) == (name == "BestEffort"))
    if name == "PriorityClass":
        return _by_priority(term, spec.get("priorityClassName") or "")
    if name == "CrossNamespacePodAffinity":
        return _crosses_namespaces(spec)
    return False


def _best_effort(spec: Object) -> bool:
    every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ()), spec]
    return not any(
        name in {"cpu", "memory"} and Quantity.parse(text)
        for container in every
        for kind in ("requests", "limits")
        for name, text in (((container.get("resources") or {}).get(kind)) or {}).items()
    )


def _by_priority(term: Object, name: str) -> bool:
    operator: str = term["operator"]
    values: list[str] = term.get("values") or []
    if operator == "In":
        return name in values
    if operator == "NotIn":
        return name not in values
    return bool(name) == (operator == "Exists")


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        terms = list(found.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [entry["podAffinityTerm"] for entry in preferred]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
