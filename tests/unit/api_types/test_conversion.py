"""Objects between served versions, against recorded answers and there and back."""

from __future__ import annotations

from typing import Any

from kubeinstall.api import codec, conversion, resources

from . import reference
from .paths import find

_V1 = find("autoscaling", "v1", "horizontalpodautoscalers")
_V2 = find("autoscaling", "v2", "horizontalpodautoscalers")
_CORE_EVENTS = find("", "v1", "events")
_NEW_EVENTS = find("events.k8s.io", "v1", "events")


def _body(name: str) -> dict[str, Any]:
    body: dict[str, Any] = reference.golden()[name]["body"]
    times = {"creationTimestamp", "managedFields"}
    metadata = {key: value for key, value in body["metadata"].items() if key not in times}
    return {**body, "metadata": metadata}


def test_recorded_autoscaler() -> None:
    old, new = _body("convert.hpa-v1"), _body("convert.hpa-v2")
    assert conversion.convert(new, _V2, _V1) == old
    back = conversion.convert(old, _V1, _V2)
    del back["status"], new["status"]
    assert back == new


def test_recorded_event() -> None:
    new = _body("convert.event-v1")
    core = conversion.convert(new, _NEW_EVENTS, _CORE_EVENTS)
    assert core["involvedObject"] == new["regarding"]
    assert core["source"] == {}
    assert core["firstTimestamp"] is None
    assert core["reportingComponent"] == ""
    assert conversion.convert(core, _CORE_EVENTS, _NEW_EVENTS) == new


def test_metrics_survive_the_old_version() -> None:
    cpu = {"type": "Utilization", "averageUtilization": 50}
    pods = {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}}}
    named = {"apiVersion": "v1", "kind": "Service", "name": "s"}
    metrics = [
        {"type": "Pods", "pods": {**pods, "target": {"type": "AverageValue", "averageValue": "5"}}},
        {
            "type": "Object",
            "object": {
                "metric": {"name": "r"},
                "describedObject": named,
                "target": {"type": "Value", "value": "2k"},
            },
        },
        {
            "type": "ContainerResource",
            "containerResource": {"name": "memory", "container": "c", "target": cpu},
        },
        {"type": "Resource", "resource": {"name": "cpu", "target": cpu}},
    ]
    obj = codec.normalize(
        _V2,
        {
            "metadata": {"name": "h", "annotations": {"keep": "me"}},
            "spec": {
                "maxReplicas": 3,
                "metrics": metrics,
                "behavior": {"scaleDown": {"selectPolicy": "Max"}},
                "scaleTargetRef": named,
            },
            "status": {
                "desiredReplicas": 2,
                "conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "current": {"averageUtilization": 7, "averageValue": "1m"},
                        },
                    }
                ],
            },
        },
    )
    old = conversion.convert(obj, _V2, _V1)
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    assert old["status"]["currentCPUUtilizationPercentage"] == 7
    assert len(old["metadata"]["annotations"]) == 5
    back = conversion.convert(old, _V1, _V2)
    assert back == {**obj, "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"}


def test_custom_resources_change_their_version_only() -> None:
    names = ("things", "thing", "Thing", "ThingList", True)
    source = resources.Resource("x.example.com", "v1", *names, builtin=False)
    target = resources.Resource("x.example.com", "v2", *names, builtin=False)
    obj = {"apiVersion": "x.example.com/v1", "kind": "Thing", "spec": {}}
    converted = conversion.convert(obj, source, target)
    assert converted == {**obj, "apiVersion": "x.example.com/v2"}
