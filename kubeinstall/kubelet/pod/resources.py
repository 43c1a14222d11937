"""Requests and limits of pods, and what becomes of them in cgroups.

The formulas are upstream's (`pkg/kubelet/cm`, `component-helpers/resource`): CPU shares are
1024 a core, at least 2; quota is per 100 ms, at least 1 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod import spec

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
MIN_SHARES, MAX_SHARES, SHARES_PER_CPU = 2, 262144, 1024
QUOTA_PERIOD, MIN_QUOTA = 100_000, 1000

Amounts = dict[str, Quantity]


def amounts(listed: Mapping[str, str | int | float] | None) -> Amounts:
    """A resource list with its quantities parsed."""
    return {name: Quantity.parse(text) for name, text in (listed or {}).items()}


def requests(container: Object) -> Amounts:
    """resources.requests."""
    return amounts((container.get("resources") or {}).get("requests"))


def limits(container: Object) -> Amounts:
    """resources.limits."""
    return amounts((container.get("resources") or {}).get("limits"))


def effective_limits(pod: Object, container: Object) -> Amounts:
    """A container's limits, and those of the pod as a whole where it has none of its own."""
    whole = limits(pod["spec"])
    inherited: Amounts = {name: whole[name] for name in ("cpu", "memory") if name in whole}
    return {**inherited, **limits(container)}


def add(into: Amounts, more: Amounts) -> None:
    """Add up, in place."""
    for name, amount in more.items():
        into[name] = into[name] + amount if name in into else amount


def at_least(into: Amounts, other: Amounts) -> None:
    """Raise each amount to the other's, in place."""
    for name, amount in other.items():
        if name not in into or into[name] < amount:
            into[name] = amount


def pod_requests(pod: Object) -> Amounts:
    """What the pod asks for in all, overhead included."""
    return _pod_total(pod, "requests")


def pod_limits(pod: Object) -> Amounts:
    """What the pod may use in all, overhead included."""
    return _pod_total(pod, "limits")


def _pod_total(pod: Object, kind: str) -> Amounts:
    def of(container: Object) -> Amounts:
        return amounts((container.get("resources") or {}).get(kind))

    total: Amounts = {}
    for container in spec.containers(pod):
        add(total, of(container))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.init_containers(pod):
        if spec.is_sidecar(container):
            add(total, of(container))
            add(sidecars, of(container))
            at_least(highest, sidecars)
            continue
        step = dict(sidecars)
        add(step, of(container))
        at_least(highest, step)
    at_least(total, highest)
    pod_level = amounts((pod["spec"].get("resources") or {}).get(kind))
    total.update(pod_level)
    overhead = amounts(pod["spec"].get("overhead"))
    if kind == "requests":
        add(total, overhead)
    else:
        add(total, {name: amount for name, amount in overhead.items() if name in total})
    return total


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort; a pod keeps the class its status says."""
    known = (pod.get("status") or {}).get("qosClass")
    return str(known) if known else compute_qos(pod)


def compute_qos(pod: Object) -> str:
    """The class from the spec: cpu and memory alone count."""
    total_requests: Amounts = {}
    total_limits: Amounts = {}
    guaranteed = True
    pod_level = pod["spec"].get("resources")
    members = (
        [pod["spec"]]
        if pod_level and (pod_level.get("requests") or pod_level.get("limits"))
        else [*spec.containers(pod), *spec.init_containers(pod)]
    )
    for member in members:
        asked, allowed = _compute(requests(member)), _compute(limits(member))
        add(total_requests, asked)
        add(total_limits, allowed)
        guaranteed = guaranteed and {"cpu", "memory"} <= allowed.keys()
    if not total_requests and not total_limits:
        return BEST_EFFORT
    if guaranteed and total_requests == total_limits:
        return GUARANTEED
    return BURSTABLE


def _compute(listed: Amounts) -> Amounts:
    return {name: q for name, q in listed.items() if name in ("cpu", "memory") and q.nano > 0}


def cpu_shares(milli: int) -> int:
    """CPU shares for a request in thousandths of a core."""
    if milli == 0:
        return MIN_SHARES
    return max(MIN_SHARES, min(MAX_SHARES, milli * SHARES_PER_CPU // 1000))


def cpu_quota(milli: int, period: int = QUOTA_PERIOD) -> int:
    """CPU time in microseconds a period for a limit in thousandths of a core; 0 is no limit."""
    return max(MIN_QUOTA, milli * period // 1000) if milli else 0


@dataclass(slots=True)
class CgroupLimits:
    """What a pod's cgroup is held to; None is no limit, 0 shares leaves them alone."""

    shares: int = 0
    quota: int | None = None
    memory: int | None = None
    hugepages: dict[str, int] = field(default_factory=dict)


def pod_cgroup_limits(pod: Object, *, enforce_quota: bool = True) -> CgroupLimits:
    """The pod-level cgroup's values, as upstream's `ResourceConfigForPod`.

    Quota and memory are set only where each container (or the pod) has the limit.
    """
    asked, allowed = pod_requests(pod), pod_limits(pod)
    shares = cpu_shares(asked["cpu"].milli) if "cpu" in asked else 0
    if "cpu" in allowed and "cpu" not in asked:
        shares = cpu_shares(allowed["cpu"].milli)
    members = [*spec.containers(pod), *spec.init_containers(pod)]
    pod_level = amounts((pod["spec"].get("resources") or {}).get("limits"))

    def limited(resource: str) -> bool:
        return resource in pod_level or all(
            resource in limits(m) and limits(m)[resource].nano > 0 for m in members
        )

    found = CgroupLimits(hugepages=hugepage_limits(allowed))
    kind = qos_class(pod)
    if kind == BEST_EFFORT:
        found.shares = MIN_SHARES
        return found
    found.shares = shares or MIN_SHARES
    if limited("cpu") and enforce_quota:
        found.quota = cpu_quota(allowed["cpu"].milli)
    if limited("memory"):
        found.memory = allowed["memory"].value
    return found


def larger(one: CgroupLimits, other: CgroupLimits) -> CgroupLimits:
    """What both fit into; no limit is more than any."""

    def most(a: int | None, b: int | None) -> int | None:
        return None if a is None or b is None else max(a, b)

    pages = {
        size: max(one.hugepages.get(size, 0), other.hugepages.get(size, 0))
        for size in one.hugepages | other.hugepages
    }
    return CgroupLimits(
        max(one.shares, other.shares),
        most(one.quota, other.quota),
        most(one.memory, other.memory),
        pages,
    )


def hugepage_limits(listed: Amounts) -> dict[str, int]:
    """hugepages-2Mi → {"2MB": bytes}: the sizes as cgroup files name them."""
    units = {"Ki": "KB", "Mi": "MB", "Gi": "GB"}
    found = {}
    for name, amount in listed.items():
        if name.startswith("hugepages-"):
            size = name.removeprefix("hugepages-")
            found[f"{size[:-2]}{units.get(size[-2:], size[-2:])}"] = amount.value
    return found


def oom_score_adj(pod: Object, container: Object, memory_capacity: int) -> int:
    """How readily the kernel kills a container: upstream's `GetContainerOOMScoreAdjust`."""
    if spec.is_critical(pod):
        return -997
    kind = qos_class(pod)
    if kind == GUARANTEED:
        return -997
    if kind == BEST_EFFORT:
        return 1000
    memory = requests(container).get("memory")
    asked = memory.value if memory else 0
    score = 1000 - (1000 * asked) // max(1, memory_capacity)
    if spec.is_sidecar(container):
        least = [requests(c).get("memory") for c in spec.containers(pod)]
        smallest = min((q.value for q in least if q), default=0)
        score = min(score, 1000 - (1000 * smallest) // max(1, memory_capacity))
    # A burstable container goes after every guaranteed and before every best-effort one.
    return max(3, min(999, score))
