"""HorizontalPodAutoscaler: autoscaling/v1 knows one metric, the use of CPU.

What v1 has no field for travels in annotations (metrics, current metrics, conditions, behavior) as JSON
of v1's own metric types, so that a client of v1 can write back what it read.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from kubeinstall.api.types import Object

_PREFIX: Final = "autoscaling.alpha.kubernetes.io/"
_METRICS: Final = f"{_PREFIX}metrics"
_CURRENT: Final = f"{_PREFIX}current-metrics"
_CONDITIONS: Final = f"{_PREFIX}conditions"
_BEHAVIOR: Final = f"{_PREFIX}behavior"
_CARRIED: Final = (_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR)

_UTILIZATION: Final = "Utilization"


def to_v1(obj: Object) -> Object:
    """autoscaling/v1 of a v2 autoscaler."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    cpu = _cpu(spec.get("metrics"), "target")
    used = _cpu(status.get("currentMetrics"), "current")
    carried: dict[str, Any] = {
        _METRICS: [_metric_to_v1(one) for one in spec.get("metrics") or () if not _is_cpu(one)],
        _CURRENT: [_status_to_v1(one) for one in status.get("currentMetrics") or ()],
        _CONDITIONS: status.get("conditions"),
        _BEHAVIOR: spec.get("behavior"),
    }
    return {
        "metadata": _carry(obj.get("metadata") or {}, carried),
        "spec": {
            "scaleTargetRef": spec.get("scaleTargetRef"),
            "minReplicas": spec.get("minReplicas"),
            "maxReplicas": spec.get("maxReplicas"),
            "targetCPUUtilizationPercentage": cpu,
        },
        "status": {
            **_pick(status, "observedGeneration", "lastScaleTime", "currentReplicas"),
            "desiredReplicas": status.get("desiredReplicas"),
            "currentCPUUtilizationPercentage": used,
        },
    }


def to_v2(obj: Object) -> Object:
    """autoscaling/v2 of a v1 autoscaler."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metadata, carried = _uncarry(obj.get("metadata") or {})
    metrics = [_metric_to_v2(one) for one in _list(carried.get(_METRICS))]
    target = spec.get("targetCPUUtilizationPercentage")
    if target is not None:
        wanted = {"type": _UTILIZATION, "averageUtilization": target}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": wanted}})
    current = [_status_to_v2(one) for one in _list(carried.get(_CURRENT))]
    used = status.get("currentCPUUtilizationPercentage")
    if not current and used is not None:
        value = {"averageUtilization": used}
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": value}}]
    return {
        "metadata": metadata,
        "spec": {
            **_pick(spec, "scaleTargetRef", "minReplicas", "maxReplicas"),
            "metrics": metrics,
            "behavior": carried.get(_BEHAVIOR),
        },
        "status": {
            **_pick(status, "observedGeneration", "lastScaleTime", "currentReplicas"),
            "desiredReplicas": status.get("desiredReplicas"),
            "currentMetrics": current or None,
            "conditions": carried.get(_CONDITIONS),
        },
    }


def _pick(obj: Object, *names: str) -> Object:
    return {name: obj[name] for name in names if name in obj}


def _list(value: Any) -> list[Object]:
    return value if isinstance(value, list) else []


def _carry(metadata: Object, carried: dict[str, Any]) -> Object:
    texts = {name: orjson.dumps(value).decode() for name, value in carried.items() if value}
    if not texts:
        return metadata
    return {**metadata, "annotations": {**(metadata.get("annotations") or {}), **texts}}


def _uncarry(metadata: Object) -> tuple[Object, dict[str, Any]]:
    annotations = metadata.get("annotations") or {}
    carried: dict[str, Any] = {}
    for name in _CARRIED:
        try:
            carried[name] = orjson.loads(annotations[name])
        except (KeyError, orjson.JSONDecodeError):
            continue
    if not any(name in annotations for name in _CARRIED):
        return metadata, carried
    kept = {name: text for name, text in annotations.items() if name not in _CARRIED}
    return {**metadata, "annotations": kept}, carried


def _is_cpu(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and target.get("averageUtilization") is not None
    )


def _cpu(metrics: list[Object] | None, value: str) -> int | None:
    for metric in metrics or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            utilization: int | None = (resource.get(value) or {}).get("averageUtilization")
            return utilization
    return None


def _field(metric: Object) -> tuple[str, Object]:
    """The name and value of the member that a metric's type selects."""
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    return name, metric.get(name) or {}


def _clean(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if value is not None}


def _metric_to_v1(metric: Object) -> Object:
    name, source = _field(metric)
    target = source.get("target") or {}
    found: Object = {}
    if name in {"resource", "containerResource"}:
        found = {
            "name": source.get("name"),
            "container": source.get("container"),
            "targetAverageUtilization": target.get("averageUtilization"),
            "targetAverageValue": target.get("averageValue"),
        }
    elif name == "pods":
        found = {**_identity(source, "selector"), "targetAverageValue": target.get("averageValue")}
    elif name == "object":
        found = {
            **_identity(source, "selector"),
            "target": source.get("describedObject"),
            "targetValue": target.get("value") or "0",
            "averageValue": target.get("averageValue"),
        }
    elif name == "external":
        found = {
            **_identity(source, "metricSelector"),
            "targetValue": target.get("value"),
            "targetAverageValue": target.get("averageValue"),
        }
    return {"type": metric.get("type"), name: _clean(found)}


def _identity(source: Object, selector: str) -> Object:
    metric = source.get("metric") or {}
    return {"metricName": metric.get("name"), selector: metric.get("selector")}


def _metric_to_v2(metric: Object) -> Object:
    name, source = _field(metric)
    found: Object = {}
    if name in {"resource", "containerResource"}:
        utilization = source.get("targetAverageUtilization")
        target = {
            "type": "AverageValue" if utilization is None else _UTILIZATION,
            "averageUtilization": utilization,
            "averageValue": source.get("targetAverageValue"),
        }
        found = {
            "name": source.get("name"),
            "container": source.get("container"),
            "target": _clean(target),
        }
    elif name == "pods":
        target = {"type": "AverageValue", "averageValue": source.get("targetAverageValue")}
        found = {"metric": _metric(source, "selector"), "target": _clean(target)}
    elif name == "object":
        found = {
            "metric": _metric(source, "selector"),
            "describedObject": source.get("target"),
            "target": _value_target(source.get("targetValue"), source.get("averageValue")),
        }
    elif name == "external":
        found = {
            "metric": _metric(source, "metricSelector"),
            "target": _value_target(source.get("targetValue"), source.get("targetAverageValue")),
        }
    return {"type": metric.get("type"), name: _clean(found)}


def _metric(source: Object, selector: str) -> Object:
    return _clean({"name": source.get("metricName"), "selector": source.get(selector)})


def _value_target(value: Any, average: Any) -> Object:
    if average is not None:
        return {"type": "AverageValue", "averageValue": average}
    return _clean({"type": "Value", "value": value})


def _status_to_v1(metric: Object) -> Object:
    name, source = _field(metric)
    current = source.get("current") or {}
    found: Object = {}
    if name in {"resource", "containerResource"}:
        found = {
            "name": source.get("name"),
            "container": source.get("container"),
            "currentAverageUtilization": current.get("averageUtilization"),
            "currentAverageValue": current.get("averageValue") or "0",
        }
    elif name == "pods":
        found = {
            **_identity(source, "selector"),
            "currentAverageValue": current.get("averageValue") or "0",
        }
    elif name == "object":
        found = {
            **_identity(source, "selector"),
            "target": source.get("describedObject"),
            "currentValue": current.get("value") or "0",
            "averageValue": current.get("averageValue"),
        }
    elif name == "external":
        found = {
            **_identity(source, "metricSelector"),
            "currentValue": current.get("value") or "0",
            "currentAverageValue": current.get("averageValue"),
        }
    return {"type": metric.get("type"), name: _clean(found)}


def _status_to_v2(metric: Object) -> Object:
    name, source = _field(metric)
    found: Object = {}
    if name in {"resource", "containerResource"}:
        current = {
            "averageUtilization": source.get("currentAverageUtilization"),
            "averageValue": source.get("currentAverageValue"),
        }
        found = {
            "name": source.get("name"),
            "container": source.get("container"),
            "current": _clean(current),
        }
    elif name == "pods":
        current = {"averageValue": source.get("currentAverageValue")}
        found = {"metric": _metric(source, "selector"), "current": _clean(current)}
    elif name == "object":
        current = {"value": source.get("currentValue"), "averageValue": source.get("averageValue")}
        found = {
            "metric": _metric(source, "selector"),
            "describedObject": source.get("target"),
            "current": _clean(current),
        }
    elif name == "external":
        current = {
            "value": source.get("currentValue"),
            "averageValue": source.get("currentAverageValue"),
        }
        found = {"metric": _metric(source, "metricSelector"), "current": _clean(current)}
    return {"type": metric.get("type"), name: _clean(found)}
