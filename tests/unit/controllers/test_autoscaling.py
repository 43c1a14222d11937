"""How many replicas: from samples to a proposal, and from a proposal to what is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeinstall.controllers.autoscaling.behavior import History, decide
from kubeinstall.controllers.autoscaling.calculator import (
    MetricProblem,
    Proposal,
    Sample,
    Startup,
    Tolerance,
    by_average,
    by_share,
    by_total,
    by_utilization,
    group_pods,
    requests_of,
)

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(name: str, *, phase: str = "Running", ready: str = "True", age: int = 3600) -> Object:
    started = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {
            "phase": phase,
            "startTime": started,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": started}],
        },
    }


def use(**milli: int) -> dict[str, Sample]:
    return {name: Sample(value, NOW) for name, value in milli.items()}


def utilization(
    pods: list[Object], samples: dict[str, Sample], target: int, current: int | None = None
) -> Proposal:
    groups = group_pods(pods, samples, "cpu", Startup(), NOW)
    return by_utilization(
        pods, samples, groups, requests_of(pods, "cpu"),
        current=len(pods) if current is None else current, target=target, tolerance=Tolerance(),
    )  # fmt: skip


A, B, C = pod("a"), pod("b"), pod("c")


@pytest.mark.parametrize(
    ("pods", "samples", "target", "replicas"),
    [
        ([A, B, C], use(a=300, b=500, c=700), 30, 5),
        ([A, B, C], use(a=300, b=500, c=700), 100, 2),
        ([A, B, C], use(a=1010, b=1030, c=1020), 100, 3),  # within a tenth
        ([A, B], use(a=800), 50, 2),  # who says nothing counts as idle on the way up
        ([A, B, C], use(a=100, b=100), 100, 2),  # and as busy on the way down
        ([A, pod("b", phase="Pending")], use(a=2000), 50, 4),
        ([A, pod("b", phase="Failed")], use(a=1000, b=9000), 50, 2),
        ([A, pod("b", age=60)], use(a=1000, b=9000), 50, 20),
        ([A, pod("b", age=60, ready="False")], use(a=1000, b=9000), 50, 2),
    ],
)
def test_utilization(
    pods: list[Object], samples: dict[str, Sample], target: int, replicas: int
) -> None:
    assert utilization(pods, samples, target).replicas == replicas


def test_utilization_is_told_in_percent_and_as_an_average() -> None:
    found = utilization([A, B], use(a=250, b=750), 50)
    assert (found.utilization, found.average) == (50, 500)


def test_what_says_nothing_is_a_problem() -> None:
    with pytest.raises(MetricProblem, match="did not receive metrics for targeted pods"):
        utilization([pod("a", phase="Pending")], use(a=1), 50)
    bare = pod("a")
    bare["spec"]["containers"][0]["resources"] = {}
    with pytest.raises(MetricProblem, match="missing request for cpu in container c of Pod a"):
        requests_of([bare], "cpu")


def test_plain_amounts() -> None:
    groups = group_pods([A, B], use(a=20, b=40), "", Startup(), NOW)
    found = by_average([A, B], use(a=20, b=40), groups, current=2, target=10, tolerance=Tolerance())
    assert (found.replicas, found.average, found.utilization) == (6, 30, None)
    assert by_total([A, B], 30, 10, current=2, tolerance=Tolerance()) == 6
    assert by_total([A, B], 30, 10, current=0, tolerance=Tolerance()) == 3
    assert by_share(45, 10, current=2, tolerance=Tolerance()) == 5
    assert by_share(21, 10, current=2, tolerance=Tolerance()) == 2


@pytest.mark.parametrize(
    ("current", "wanted", "replicas", "reason"),
    [
        (3, 5, 5, "DesiredWithinRange"),
        (3, 30, 6, "ScaleUpLimit"),
        (1, 30, 4, "ScaleUpLimit"),
        (8, 30, 10, "TooManyReplicas"),
        (3, 0, 2, "TooFewReplicas"),
    ],
)
def test_bounds_without_behavior(current: int, wanted: int, replicas: int, reason: str) -> None:
    spec = {"minReplicas": 2, "maxReplicas": 10}
    found = decide(spec, current, wanted, History(), 0.0)
    assert (found.replicas, found.limit[0]) == (replicas, reason)
    assert found.limited is (reason != "DesiredWithinRange")


def test_down_waits_for_five_minutes() -> None:
    spec, history = {"maxReplicas": 10}, History()
    assert decide(spec, 5, 8, history, 0.0).replicas == 8
    early = decide(spec, 8, 2, history, 299.0)
    assert (early.replicas, early.able[0]) == (8, "ScaleDownStabilized")
    late = decide(spec, 8, 2, history, 301.0)
    assert (late.replicas, late.able[0]) == (2, "ReadyForNewScale")


def test_rates_of_behavior() -> None:
    policies = [
        {"type": "Pods", "value": 1, "periodSeconds": 60},
        {"type": "Percent", "value": 50, "periodSeconds": 60},
    ]
    behavior: Object = {
        "scaleUp": {"policies": policies, "selectPolicy": "Max"},
        "scaleDown": {"policies": policies, "selectPolicy": "Min", "stabilizationWindowSeconds": 0},
    }
    spec: Object = {"maxReplicas": 100, "behavior": behavior}
    history = History()
    first = decide(spec, 10, 50, history, 0.0)
    assert (first.replicas, first.limit[0]) == (15, "ScaleUpLimit")
    history.scaled(10, 15, 0.0)
    assert decide(spec, 15, 50, history, 30.0).replicas == 15, "the period's share is used up"
    assert decide(spec, 15, 50, history, 61.0).replicas == 23
    down = decide(spec, 15, 1, History(), 0.0)
    assert (down.replicas, down.limit[0]) == (14, "ScaleDownLimit")
    behavior["scaleDown"]["selectPolicy"] = "Disabled"
    assert decide(spec, 15, 1, History(), 0.0).replicas == 15


def test_up_may_wait_too() -> None:
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 60}}
    spec, history = {"maxReplicas": 100, "behavior": behavior}, History()
    decide(spec, 2, 2, history, 0.0)
    early = decide(spec, 2, 4, history, 59.0)
    assert (early.replicas, early.able[0]) == (2, "ScaleUpStabilized")
    assert decide(spec, 2, 4, history, 120.0).replicas == 4
