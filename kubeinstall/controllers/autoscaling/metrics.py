"""The metrics APIs: metrics.k8s.io for pods' resources, custom.metrics.k8s.io and external.metrics.k8s.io.

None of them is part of the API server: an add-on (such as metrics-server) serves each through an APIService.
"""

from __future__ import annotations

import re
from datetime import timedelta

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.times import parse
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.controllers.autoscaling.calculator import MetricProblem, Sample, Samples
from kubeinstall.errors import NotFound, StatusError

RESOURCE, CUSTOM, EXTERNAL = "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class MetricsClient:
    """Reads metrics; every failure is a `MetricProblem` in upstream's words."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def resource(
        self, namespace: str, selector: str, name: str, container: str = ""
    ) -> Samples:
        """Each pod's use of a resource, or that of one container in it."""
        path = f"/apis/{RESOURCE}/v1beta1/namespaces/{namespace}/pods"
        try:
            listed = await self._get(path, {"labelSelector": selector}, "pods", RESOURCE)
        except MetricProblem as error:
            text = f"unable to fetch metrics from resource metrics API: {error}"
            raise MetricProblem(f"unable to get metrics for resource {name}: {text}") from error
        found: Samples = {}
        for item in listed.get("items") or []:
            used = _usage(item, name, container)
            if used is not None:
                window = timedelta(seconds=_seconds(item.get("window") or "60s"))
                found[item["metadata"]["name"]] = Sample(used, parse(item["timestamp"]), window)
        if not found:
            raise MetricProblem(
                f"unable to get metrics for resource {name}: "
                "no metrics returned from resource metrics API"
            )
        return found

    async def pods(self, namespace: str, selector: str, metric: Object) -> Samples:
        """A custom metric of each pod."""
        name = metric["name"]
        path = f"namespaces/{namespace}/pods/*/{name}"
        listed = await self._custom(path, {"labelSelector": selector, **_chosen(metric)}, name)
        return {
            item["describedObject"]["name"]: Sample(_milli(item["value"]), parse(item["timestamp"]))
            for item in listed
        }

    async def object(self, namespace: str, plural: str, name: str, metric: Object) -> int:
        """A custom metric of one object, in thousandths."""
        path = f"namespaces/{namespace}/{plural}/{name}/{metric['name']}"
        if plural == "namespaces":
            path = f"namespaces/{name}/metrics/{metric['name']}"
        listed = await self._custom(path, _chosen(metric), metric["name"])
        return _milli(listed[0]["value"])

    async def external(self, namespace: str, metric: Object) -> int:
        """The sum of an external metric, in thousandths."""
        path = f"/apis/{EXTERNAL}/v1beta1/namespaces/{namespace}/{metric['name']}"
        chosen = _chosen(metric).get("metricLabelSelector")
        params = {"labelSelector": chosen} if chosen else {}
        shown = f"unable to get external metric {namespace}/{metric['name']}/{chosen or 'nil'}"
        try:
            listed = await self._get(path, params, metric["name"], EXTERNAL)
        except MetricProblem as error:
            text = f"unable to fetch metrics from external metrics API: {error}"
            raise MetricProblem(f"{shown}: {text}") from error
        items = listed.get("items") or []
        if not items:
            raise MetricProblem(f"{shown}: no metrics returned from external metrics API")
        return sum(_milli(item["value"]) for item in items)

    async def _custom(self, path: str, params: dict[str, str], name: str) -> list[Object]:
        problem: MetricProblem | None = None
        for version in ("v1beta2", "v1beta1"):
            try:
                listed = await self._get(f"/apis/{CUSTOM}/{version}/{path}", params, name, CUSTOM)
            except MetricProblem as error:
                problem = problem or error
                continue
            items: list[Object] = listed.get("items") or []
            if not items:
                raise MetricProblem(
                    f"unable to get metric {name}: no metrics returned from custom metrics API"
                )
            return items
        raise MetricProblem(
            f"unable to get metric {name}: unable to fetch metrics from custom metrics API: {problem}"
        )

    async def _get(self, path: str, params: dict[str, str], resource: str, group: str) -> Object:
        try:
            answer: Object = await self._client.request("GET", path, params=params)
        except NotFound as error:
            text = f"the server could not find the requested resource (get {resource}.{group})"
            raise MetricProblem(text) from error
        except StatusError as error:
            raise MetricProblem(error.message) from error
        return answer


def _usage(item: Object, resource: str, container: str) -> int | None:
    """Thousandths; None where a container does not tell."""
    listed = item.get("containers") or []
    if container:
        listed = [c for c in listed if c["name"] == container]
    used = [(c.get("usage") or {}).get(resource) for c in listed]
    if not used or any(value is None for value in used):
        return None
    return sum(_milli(value) for value in used)


def _chosen(metric: Object) -> dict[str, str]:
    selector = metric.get("selector")
    return {"metricLabelSelector": str(LabelSelector.from_object(selector))} if selector else {}


def _milli(value: object) -> int:
    return Quantity.parse(str(value)).milli


def _seconds(text: str) -> float:
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
