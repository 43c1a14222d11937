"""How much a pod asks for: containers together, or its largest init container, plus overhead.

Upstream documentation: "Resource sharing within containers", "Sidecar containers", "Pod overhead",
"Pod-level resource specification".
"""

from __future__ import annotations

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object

Amounts = dict[str, Quantity]


def pod_requests(pod: Object) -> Amounts:
    """Requests of the whole pod."""
    return _total(pod, "requests")


def pod_limits(pod: Object) -> Amounts:
    """Limits of the whole pod; overhead counts only where there is a limit."""
    return _total(pod, "limits")


def _total(pod: Object, field: str) -> Amounts:
    spec = pod.get("spec") or {}
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, field))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, field)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            _raise(highest, sidecars)
        else:
            with_sidecars = dict(sidecars)
            _add(with_sidecars, amounts)
            _raise(highest, with_sidecars)
    _raise(total, highest)
    total.update(_amounts(spec, field))
    for name, value in (spec.get("overhead") or {}).items():
        if field == "requests" or name in total:
            _add(total, {name: Quantity.parse(value)})
    return total


def _amounts(holder: Object, field: str) -> Amounts:
    values = (holder.get("resources") or {}).get(field) or {}
    return {name: Quantity.parse(value) for name, value in values.items()}


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _raise(total: Amounts, least: Amounts) -> None:
    for name, amount in least.items():
        if name not in total or total[name] < amount:
            total[name] = amount
