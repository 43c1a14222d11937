"""The API server's metrics, by upstream's names."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from kubeinstall.apiserver.fairness import Fairness
from kubeinstall.storage.cache import Cacher

_SECONDS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2, 3, 5, 10, 15, 30, 60)


class Metrics:
    """What is counted as requests go by. Children of a metric are looked up once per label set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "apiserver_request",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version,"
            " resource, scope, component, and HTTP response code.",
            ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "code"),
            registry=registry,
        )
        self._duration = Histogram(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, group, version, resource.",
            ("verb", "group", "version", "resource", "subresource", "scope"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver.",
            ("request_kind",),
            registry=registry,
        )
        self.rejected = Counter(
            "apiserver_dropped_requests",
            "Number of requests dropped with 'Try again later' response",
            ("request_kind",),
            registry=registry,
        )
        self.watchers_dropped = Counter(
            "apiserver_terminated_watchers",
            "Counter of watchers closed due to unresponsiveness.",
            registry=registry,
        )
        self.panics = Counter(
            "apiserver_request_aborts",
            "Number of requests which apiserver aborted because of an error of its own.",
            registry=registry,
        )
        self._observers: dict[tuple[str, ...], tuple[Counter, Histogram]] = {}

    def observe(
        self, labels: tuple[str, str, str, str, str, str, str, str], seconds: float
    ) -> None:
        """Count a request. Labels: verb, dry_run, group, version, resource, subresource, scope, code."""
        found = self._observers.get(labels)
        if found is None:
            verb, _, group, version, resource, subresource, scope, _ = labels
            found = self._observers[labels] = (
                self._requests.labels(*labels),
                self._duration.labels(verb, group, version, resource, subresource, scope),
            )
        found[0].inc()
        found[1].observe(seconds)

    def watch_fairness(self, fairness: Fairness) -> None:
        """Show the state of priority levels when asked."""
        self.registry.register(_FlowCollector(fairness))

    def watch_cache(self, cacher: Cacher) -> None:
        """Show the state of the watch cache when asked."""
        self.registry.register(_CacheCollector(cacher))


class _FlowCollector(Collector):
    """Seats and queues of priority levels, read when scraped."""

    def __init__(self, fairness: Fairness) -> None:
        self._fairness = fairness

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Of prometheus_client's collectors."""
        prefix = "apiserver_flowcontrol"
        families = (
            (
                GaugeMetricFamily(
                    f"{prefix}_current_executing_requests",
                    "Number of requests in the execution stage.",
                    labels=["priority_level"],
                ),
                "executing",
            ),
            (
                GaugeMetricFamily(
                    f"{prefix}_current_inqueue_requests",
                    "Number of requests currently pending in queues.",
                    labels=["priority_level"],
                ),
                "waiting",
            ),
            (
                GaugeMetricFamily(
                    f"{prefix}_nominal_limit_seats",
                    "Nominal number of execution seats configured for each priority level.",
                    labels=["priority_level"],
                ),
                "nominal",
            ),
            (
                CounterMetricFamily(
                    f"{prefix}_dispatched_requests",
                    "Number of requests executed.",
                    labels=["priority_level"],
                ),
                "dispatched",
            ),
            (
                CounterMetricFamily(
                    f"{prefix}_rejected_requests",
                    "Number of requests rejected.",
                    labels=["priority_level"],
                ),
                "rejected",
            ),
        )
        for family, field in families:
            for name, level in self._fairness.levels.items():
                family.add_metric([name], getattr(level, field))
            yield family


class _CacheCollector(Collector):
    """Objects and watchers per resource, read when scraped."""

    def __init__(self, cacher: Cacher) -> None:
        self._cacher = cacher

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Of prometheus_client's collectors."""
        objects = GaugeMetricFamily(
            "apiserver_storage_objects",
            "Number of stored objects at the time of last check split by kind.",
            labels=["resource"],
        )
        watchers = GaugeMetricFamily(
            "apiserver_registered_watchers",
            "Number of currently registered watchers for a given resource",
            labels=["resource"],
        )
        for cache in self._cacher.caches():
            _, _, group, plural, _ = cache.prefix.split("/")
            name = plural if group == "core" else f"{plural}.{group}"
            objects.add_metric([name], len(cache))
            if cache.watchers():
                watchers.add_metric([name], cache.watchers())
        yield objects
        yield watchers
