"""How much of each resource a pod asks for.

Upstream's `k8s.io/component-helpers/resource.PodRequests`: containers add up, restartable init containers
(sidecars) stay running beside what starts after them, ordinary init containers run one at a time, so the
larger of both counts; pod-level requests replace the sum for the resources they name; overhead is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object

Amounts = dict[str, int]

#: What scoring assumes of a container that asks for nothing, so that such pods spread too.
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024

_POD_LEVEL = ("cpu", "memory")


def amount(resource: str, text: str | int | float) -> int:
    """A quantity in the scheduler's unit: thousandths for cpu, whole units otherwise, rounded up."""
    quantity = Quantity.parse(text)
    return quantity.milli if resource == "cpu" else quantity.value


def amounts(resources: Mapping[str, Any] | None) -> Amounts:
    """A resource list in the scheduler's units."""
    return {name: amount(name, value) for name, value in (resources or {}).items()}


def pod_requests(pod: Object) -> Amounts:
    """What the pod needs on a node."""
    return _total(pod, {})


def pod_nonzero_requests(pod: Object) -> tuple[int, int]:
    """(milli CPU, bytes of memory) for scoring: containers without requests count as small ones."""
    total = _total(pod, {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY})
    return total.get("cpu", 0), total.get("memory", 0)


def _total(pod: Object, defaults: Amounts) -> Amounts:
    spec = pod.get("spec") or {}
    statuses = _status_requests(pod)
    total: Amounts = {}
    for container in spec.get("containers") or []:
        _add(total, _container(container, defaults, statuses))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.get("initContainers") or []:
        asked = _container(container, defaults, statuses)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            _raise(highest, sidecars)
        else:
            _add(asked, sidecars)
            _raise(highest, asked)
    _raise(total, highest)
    pod_level = _container({**spec, "name": ""}, {}, statuses)
    for name, value in pod_level.items():
        if name in _POD_LEVEL or name.startswith("hugepages-"):
            total[name] = value
    _add(total, amounts(spec.get("overhead")))
    return total


def _container(container: Object, defaults: Amounts, statuses: Mapping[str, _Held]) -> Amounts:
    held = statuses.get(container.get("name", ""))
    # A resize that cannot be is not counted, and one that can is from when it is asked for until it is done.
    found = (
        {}
        if held is not None and held.only
        else amounts((container.get("resources") or {}).get("requests"))
    )
    if held is not None:
        _raise(found, amounts(held.actual))
        _raise(found, amounts(held.allocated))
    for name, value in defaults.items():
        found.setdefault(name, value)
    return found


@dataclass(frozen=True, slots=True)
class _Held:
    """What a container has: by its cgroup, and by what the node gave it. `only`: what it asks for will not be."""

    actual: Object | None
    allocated: Object | None
    only: bool


def _status_requests(pod: Object) -> dict[str, _Held]:
    status = pod.get("status") or {}
    never = any(
        c.get("type") == "PodResizePending" and c.get("reason") == "Infeasible"
        for c in status.get("conditions") or []
    )
    entries: Iterable[Object] = [
        *(status.get("containerStatuses") or []),
        *(status.get("initContainerStatuses") or []),
    ]
    if (pod.get("spec") or {}).get("resources"):
        entries = [*entries, {**status, "name": ""}]
    return {
        entry.get("name", ""): _Held(
            (entry.get("resources") or {}).get("requests"), entry.get("allocatedResources"), never
        )
        for entry in entries
        if entry.get("resources") or entry.get("allocatedResources")
    }


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, value in floor.items():
        if value > total.get(name, 0):
            total[name] = value
