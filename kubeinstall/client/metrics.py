"""Metrics of work queues and of leader election, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)


def leader_status(registry: CollectorRegistry, name: str, leading: Callable[[], bool]) -> None:
    """`leader_election_master_status`: 1 while this process leads."""
    gauge = Gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. "
        "'name' is the string used to identify the lease.",
        ["name"],
        registry=registry,
    )
    gauge.labels(name).set_function(lambda: float(leading()))


class QueueMetrics:
    """`workqueue_*`, one label `name`; make one a registry and share it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge(
            "workqueue_depth", "Current depth of workqueue", ["name"], registry=registry
        )
        self.adds = Counter(
            "workqueue_adds",
            "Total number of adds handled by workqueue",
            ["name"],
            registry=registry,
        )
        self.retries = Counter(
            "workqueue_retries",
            "Total number of retries handled by workqueue",
            ["name"],
            registry=registry,
        )
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
            ["name"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes.",
            ["name"],
            registry=registry,
            buckets=_BUCKETS,
        )
