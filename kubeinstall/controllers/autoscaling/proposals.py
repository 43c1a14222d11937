"""What one entry of `spec.metrics` asks for: replicas, the metric's present status, and its name in messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.controllers.autoscaling import calculator
from kubeinstall.controllers.autoscaling.calculator import (
    MetricProblem,
    Proposal,
    Samples,
    Startup,
    Tolerance,
)
from kubeinstall.controllers.autoscaling.metrics import MetricsClient

FAILED = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}
"""The reason of condition and event, by the metric's type."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled: where, its selector as text, its pods, its replicas now, and how exact to be."""

    namespace: str
    selector: str
    pods: Sequence[Object]
    replicas: int
    ready_replicas: int
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class Wish:
    """The outcome of one metric."""

    replicas: int
    status: Object
    name: str


class Proposals:
    """Asks for metrics and computes. `plural_of(apiVersion, kind)` names an object's resource."""

    def __init__(self, metrics: MetricsClient, startup: Startup) -> None:
        self._metrics = metrics
        self._startup = startup

    async def of(self, metric: Object, target: Target, plural: str = "") -> Wish:
        """Raises `MetricProblem`; `plural` is the resource of an Object metric's object."""
        kind = metric["type"]
        if kind == "Resource":
            return await self._resource(metric["resource"], target, "", "resource", kind)
        if kind == "ContainerResource":
            source = metric["containerResource"]
            return await self._resource(
                source, target, source["container"], "containerResource", kind
            )
        if kind == "Pods":
            return await self._pods(metric["pods"], target)
        if kind == "Object":
            return await self._object(metric["object"], target, plural)
        if kind == "External":
            return await self._external(metric["external"], target)
        raise MetricProblem(f'unknown metric source type "{kind}"')

    async def _resource(
        self, source: Object, target: Target, container: str, member: str, kind: str
    ) -> Wish:
        name, wanted = source["name"], source["target"]
        raw = wanted.get("averageValue") is not None
        what = "usage" if raw else "utilization"
        if not raw and wanted.get("averageUtilization") is None:
            raise MetricProblem(
                "invalid resource metric source: neither an average utilization target nor an average value "
                "(usage) target was set"
            )
        try:
            samples = await self._metrics.resource(
                target.namespace, target.selector, name, container
            )
            found = (
                self._by_average(target, samples, name, wanted["averageValue"])
                if raw
                else self._by_utilization(
                    target, samples, name, container, int(wanted["averageUtilization"])
                )
            )
        except MetricProblem as error:
            raise MetricProblem(f"failed to get {name} {what}: {error}") from error
        current: Object = {"averageValue": _shown(found.average, name)}
        if found.utilization is not None:
            current["averageUtilization"] = found.utilization
        status: Object = {"name": name, "current": current}
        if container:
            status["container"] = container
        title = (
            f"{name} resource" if raw else f"{name} resource utilization (percentage of request)"
        )
        if container:
            title = title.replace(" resource", " container resource", 1)
        return Wish(found.replicas, {"type": kind, member: status}, title)

    def _by_utilization(
        self, target: Target, samples: Samples, name: str, container: str, percent: int
    ) -> Proposal:
        groups = calculator.group_pods(target.pods, samples, name, self._startup, datetime.now(UTC))
        return calculator.by_utilization(
            target.pods,
            samples,
            groups,
            calculator.requests_of(target.pods, name, container),
            current=target.replicas,
            target=percent,
            tolerance=target.tolerance,
        )

    def _by_average(self, target: Target, samples: Samples, name: str, amount: str) -> Proposal:
        groups = calculator.group_pods(target.pods, samples, name, self._startup, datetime.now(UTC))
        return calculator.by_average(
            target.pods,
            samples,
            groups,
            current=target.replicas,
            target=Quantity.parse(amount).milli,
            tolerance=target.tolerance,
        )

    async def _pods(self, source: Object, target: Target) -> Wish:
        metric = source["metric"]
        samples = await self._metrics.pods(target.namespace, target.selector, metric)
        found = self._by_average(target, samples, "", source["target"]["averageValue"])
        status = {"metric": metric, "current": {"averageValue": _shown(found.average)}}
        return Wish(
            found.replicas, {"type": "Pods", "pods": status}, f"pods metric {metric['name']}"
        )

    async def _object(self, source: Object, target: Target, plural: str) -> Wish:
        metric, described = source["metric"], source["describedObject"]
        total = await self._metrics.object(target.namespace, plural, described["name"], metric)
        replicas, current = _of_total(source["target"], target, total)
        status = {"metric": metric, "describedObject": described, "current": current}
        name = f"{described['kind']} metric {metric['name']}"
        return Wish(replicas, {"type": "Object", "object": status}, name)

    async def _external(self, source: Object, target: Target) -> Wish:
        metric = source["metric"]
        total = await self._metrics.external(target.namespace, metric)
        replicas, current = _of_total(source["target"], target, total)
        status = {"metric": metric, "current": current}
        shown = f"external metric {metric['name']}({metric.get('selector') or 'nil'})"
        return Wish(replicas, {"type": "External", "external": status}, shown)


def _of_total(wanted: Object, target: Target, total: int) -> tuple[int, Object]:
    if wanted.get("averageValue") is not None:
        share = Quantity.parse(wanted["averageValue"]).milli
        count = target.ready_replicas
        replicas = calculator.by_share(total, share, current=count, tolerance=target.tolerance)
        return replicas, {"averageValue": _shown(total // max(1, count))}
    if wanted.get("value") is None:
        raise MetricProblem(
            "invalid metric source: neither a value target nor an average value target was set"
        )
    amount = Quantity.parse(wanted["value"]).milli
    replicas = calculator.by_total(
        target.pods, total, amount, current=target.replicas, tolerance=target.tolerance
    )
    return replicas, {"value": _shown(total)}


def _shown(milli: int, resource: str = "") -> str:
    """The amount as a quantity: bytes in whole numbers, all else to the thousandth."""
    if resource == "memory":
        return str(Quantity.of(milli // 1000))
    return str(Quantity.of_milli(milli))
