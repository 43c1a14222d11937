"""How many replicas a metric asks for (upstream's `ReplicaCalculator`). Pure: pods and samples in, a number out.

Amounts are in thousandths (`Quantity.milli`), so that CPU and memory, values and averages are treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.times import parse
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError


class MetricProblem(KubeinstallError):
    """A metric says nothing about the number of replicas; the message is that of upstream's condition."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one pod used; `window` is the time before `at` over which it was measured."""

    value: int
    at: datetime
    window: timedelta = timedelta(seconds=60)


Samples = dict[str, Sample]
"""By pod name."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from 1 the ratio of usage to target may be without anything done."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Near enough."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Startup:
    """Whose CPU does not count yet: pods that have just started, or were not ready since."""

    cpu_initialization: timedelta = timedelta(minutes=5)
    initial_readiness: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Proposal:
    """`utilization` is in percent of the requests, None for plain amounts; `average` in thousandths a pod."""

    replicas: int
    average: int
    utilization: int | None = None


@dataclass(slots=True)
class Groups:
    """Pods by what their samples are worth; names."""

    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


def group_pods(
    pods: Sequence[Object], samples: Samples, resource: str, startup: Startup, now: datetime
) -> Groups:
    """Upstream's `groupPods`."""
    groups = Groups(0, set(), set(), set())
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        if pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Failed":
            groups.ignored.add(name)
        elif status.get("phase") == "Pending":
            groups.unready.add(name)
        elif name not in samples:
            groups.missing.add(name)
        elif resource == "cpu" and _too_young(status, samples[name], startup, now):
            groups.unready.add(name)
        else:
            groups.ready += 1
    return groups


def _too_young(status: Object, sample: Sample, startup: Startup, now: datetime) -> bool:
    ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
    if ready is None or not status.get("startTime"):
        return True
    started = parse(status["startTime"])
    changed = parse(ready["lastTransitionTime"])
    unready = ready["status"] == "False"
    if started + startup.cpu_initialization > now:
        return unready or sample.at < changed + sample.window
    return unready and started + startup.initial_readiness > changed


def requests_of(pods: Sequence[Object], resource: str, container: str = "") -> dict[str, int]:
    """Each pod's request; `MetricProblem` where one has none."""
    found: dict[str, int] = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        level = (pod["spec"].get("resources") or {}).get("requests") or {}
        if not container and resource in level:
            found[name] = Quantity.parse(level[resource]).milli
            continue
        sidecars = [
            c for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"
        ]
        total = 0
        for one in (*pod["spec"]["containers"], *sidecars):
            if container and one["name"] != container:
                continue
            asked = ((one.get("resources") or {}).get("requests") or {}).get(resource)
            if asked is None:
                raise MetricProblem(
                    f"missing request for {resource} in container {one['name']} of Pod {name}"
                )
            total += Quantity.parse(asked).milli
        found[name] = total
    return found


def by_utilization(
    pods: Sequence[Object],
    samples: Samples,
    groups: Groups,
    requests: Mapping[str, int],
    *,
    current: int,
    target: int,
    tolerance: Tolerance,
) -> Proposal:
    """Replicas for an average use of `target` percent of the requests."""
    counted = {k: s.value for k, s in samples.items() if k not in groups.ignored | groups.unready}
    _check(pods, counted)
    ratio, utilization, average = _utilization(counted, requests, target)
    missing = groups.missing & requests.keys()
    fallback = max(100, target)
    filled = {name: requests[name] * fallback // 100 for name in missing}
    result = _rebalance(
        counted,
        groups,
        ratio,
        filled,
        lambda values: _utilization(values, requests, target)[0],
        current=current,
        tolerance=tolerance,
    )
    return Proposal(result, average, utilization)


def by_average(
    pods: Sequence[Object],
    samples: Samples,
    groups: Groups,
    *,
    current: int,
    target: int,
    tolerance: Tolerance,
) -> Proposal:
    """Replicas for an average of `target` thousandths a pod."""
    counted = {k: s.value for k, s in samples.items() if k not in groups.ignored | groups.unready}
    _check(pods, counted)

    def ratio_of(values: Mapping[str, int]) -> float:
        return sum(values.values()) / len(values) / target

    filled = dict.fromkeys(groups.missing, target)
    result = _rebalance(
        counted, groups, ratio_of(counted), filled, ratio_of, current=current, tolerance=tolerance
    )
    return Proposal(result, sum(counted.values()) // len(counted))


def by_total(
    pods: Sequence[Object], total: int, target: int, *, current: int, tolerance: Tolerance
) -> int:
    """Replicas where `total` of all (an object's or an external metric) should be `target`."""
    ratio = total / target
    if current == 0:
        return math.ceil(ratio)
    if tolerance.holds(ratio):
        return current
    return math.ceil(ratio * sum(_is_ready(pod) for pod in pods))


def by_share(total: int, target: int, *, current: int, tolerance: Tolerance) -> int:
    """Replicas where each should have `target` of the `total`."""
    if current and tolerance.holds(total / (target * current)):
        return current
    return math.ceil(total / target)


def _check(pods: Sequence[Object], counted: Mapping[str, int]) -> None:
    if not pods:
        raise MetricProblem("no pods returned by selector while calculating replica count")
    if not counted:
        raise MetricProblem("did not receive metrics for targeted pods (pods might be unready)")


def _utilization(
    values: Mapping[str, int], requests: Mapping[str, int], target: int
) -> tuple[float, int, int]:
    """(ratio to the target, percent, average in thousandths)."""
    known = {name: value for name, value in values.items() if name in requests}
    asked = sum(requests[name] for name in known)
    if asked == 0:
        raise MetricProblem("no metrics returned matched known pods")
    total = sum(known.values())
    percent = total * 100 // asked
    return percent / target, percent, total // len(known)


def _rebalance(
    counted: dict[str, int],
    groups: Groups,
    ratio: float,
    filled: Mapping[str, int],
    ratio_of: object,
    *,
    current: int,
    tolerance: Tolerance,
) -> int:
    """The count for a ratio, with pods that say nothing taken into account against the change."""
    assert callable(ratio_of)  # noqa: S101 - for the type checker
    up_with_unready = bool(groups.unready) and ratio > 1.0
    if not up_with_unready and not groups.missing:
        if tolerance.holds(ratio):
            return current
        return math.ceil(ratio * groups.ready)
    values = dict(counted)
    if ratio < 1.0:
        values.update(filled)  # going down: who says nothing uses all it may
    elif ratio > 1.0:
        values.update(dict.fromkeys(groups.missing, 0))
    if up_with_unready:
        values.update(dict.fromkeys(groups.unready, 0))
    fresh = float(ratio_of(values))
    if tolerance.holds(fresh) or (ratio < 1.0 < fresh) or (fresh < 1.0 < ratio):
        return current
    wanted = math.ceil(fresh * len(values))
    if (fresh < 1.0 and wanted > current) or (fresh > 1.0 and wanted < current):
        return current
    return wanted


def _is_ready(pod: Object) -> bool:
    status = pod.get("status") or {}
    conditions = status.get("conditions") or []
    return status.get("phase") == "Running" and any(
        c["type"] == "Ready" and c["status"] == "True" for c in conditions
    )
