"""Printed tables: recorded column definitions, and rows by upstream's rules."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api import table
from kubeinstall.api.resources import Resource, builtin, find
from kubeinstall.api.table.durations import human
from kubeinstall.api.table.jsonpath import JSONPathError
from kubeinstall.api.table.jsonpath import find as jsonpath
from kubeinstall.api.times import unix

NOW = unix("2026-01-02T00:00:00Z")
HOUR_AGO = "2026-01-01T23:00:00Z"


def resource(group: str, name: str, version: str = "v1") -> Resource:
    found = find(group, version, name)
    assert found is not None
    return found


def test_recorded_columns(golden: dict[str, Any]) -> None:
    checked = 0
    for name, case in golden.items():
        if not name.startswith("table."):
            continue
        parts = case["path"].partition("?")[0].strip("/").split("/")
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        mine = table.columns(resource(group, parts[-1], version))
        bare = [{k: v for k, v in column.items() if k != "description"} for column in mine]
        assert bare == case["body"]["columnDefinitions"], name
        checked += 1
    assert checked == 24


def test_rows_of_recorded_objects_fit_their_columns(golden: dict[str, Any]) -> None:
    seen = set()
    for case in golden.values():
        body = case["body"]
        if not isinstance(body, dict) or "metadata" not in body or "kind" not in body:
            continue
        for each in builtin():
            if (each.api_version, each.kind) == (body.get("apiVersion"), body["kind"]):
                obj = {**body, "metadata": {**body["metadata"], "creationTimestamp": HOUR_AGO}}
                row = table.row(each, obj, NOW)
                assert len(row) == len(table.columns(each)), each.kind
                seen.add(each.kind)
    assert len(seen) > 25


@pytest.mark.parametrize("each", builtin(), ids=lambda r: f"{r.group}.{r.kind}")
def test_an_empty_object_of_every_kind_prints(each: Resource) -> None:
    obj = {"metadata": {"name": "x"}, "spec": {}, "status": {}}
    assert len(table.row(each, obj, NOW)) == len(table.columns(each))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (40 * 3600, "40h"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert human(seconds) == text


def pod(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "creationTimestamp": HOUR_AGO},
        "spec": {"containers": [{"name": "c"}], **spec},
        "status": status,
    }


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason}}, **more}


RUNNING = {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}
DIED = {"terminated": {"finishedAt": "2026-01-01T23:55:00Z", "exitCode": 1}}


@pytest.mark.parametrize(
    ("obj", "cells"),
    [
        (pod({"phase": "Pending"}), ["0/1", "Pending", "0"]),
        (pod({"phase": "Running", "containerStatuses": [RUNNING]}), ["1/1", "Running", "0"]),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [
                        waiting("CrashLoopBackOff", restartCount=3, lastState=DIED)
                    ],
                }
            ),
            ["0/1", "CrashLoopBackOff", "3 (5m ago)"],
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing")]},
                initContainers=[{"name": "i"}],
            ),
            ["0/1", "Init:0/1", "0"],
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {"name": "i", "state": {"terminated": {"exitCode": 2}}}
                    ],
                },
                initContainers=[{"name": "i"}],
            ),
            ["0/1", "Init:ExitCode:2", "0"],
        ),
        (
            pod(
                {
                    "phase": "Running",
                    "initContainerStatuses": [
                        {"name": "s", "started": True, "ready": True, "state": {"running": {}}}
                    ],
                    "containerStatuses": [RUNNING],
                },
                initContainers=[{"name": "s", "restartPolicy": "Always"}],
            ),
            ["2/2", "Running", "0"],
        ),
        (
            pod(
                {
                    "phase": "Succeeded",
                    "containerStatuses": [
                        {"name": "c", "state": {"terminated": {"reason": "Completed"}}}
                    ],
                }
            ),
            ["0/1", "Completed", "0"],
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
                }
            ),
            ["0/1", "SchedulingGated", "0"],
        ),
    ],
)
def test_pod_rows(obj: dict[str, Any], cells: list[str]) -> None:
    pods = resource("", "pods")
    assert table.row(pods, obj, NOW)[1:4] == cells
    obj["metadata"]["deletionTimestamp"] = HOUR_AGO
    expected = cells[1] if obj["status"]["phase"] == "Succeeded" else "Terminating"
    assert table.row(pods, obj, NOW)[2] == expected


def test_other_rows() -> None:
    service = {
        "metadata": {"name": "s", "creationTimestamp": HOUR_AGO},
        "spec": {
            "type": "NodePort",
            "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
            "selector": {"b": "2", "a": "1"},
        },
    }
    assert table.row(resource("", "services"), service, NOW) == [
        "s", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP", "60m", "a=1,b=2",
    ]  # fmt: skip
    node = {
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    shown = table.row(resource("", "nodes"), node, NOW)
    assert shown[1:4] == ["Ready,SchedulingDisabled", "control-plane", "<unknown>"]
    hpa = {
        "metadata": {"name": "h"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                }
            ],
        },
    }
    shown = table.row(resource("autoscaling", "horizontalpodautoscalers", "v2"), hpa, NOW)
    assert shown[1:4] == ["Deployment/d", "cpu: <unknown>/80%", "<unset>"]


def test_tables_and_partial_objects() -> None:
    obj = pod({"phase": "Succeeded"})
    pods = resource("", "pods")
    whole = table.table(pods, [obj], list_metadata={"resourceVersion": "7"}, now=NOW)
    (row,) = whole["rows"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["conditions"][0]["type"] == "Completed"
    assert table.table_row(pods, obj, NOW, include="None")["object"] is None
    assert table.table_row(pods, obj, NOW, include="Object")["object"]["kind"] == "Pod"
    assert table.table(pods, [], headers=False)["columnDefinitions"] is None
    assert table.partial_list([], {})["items"] is None


def test_custom_columns() -> None:
    custom = table.CustomColumns(
        [
            {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
            {
                "name": "Ready",
                "type": "string",
                "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
            },
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
            {"name": "When", "type": "date", "jsonPath": ".spec.when"},
            {"name": "None", "type": "string", "jsonPath": ".spec.nope"},
            {"name": "All", "type": "string", "jsonPath": ".spec.list"},
        ]
    )
    obj = {
        "metadata": {"name": "f"},
        "spec": {"color": "red", "size": 3.0, "when": HOUR_AGO, "list": [1, "a"]},
        "status": {"conditions": [{"type": "X", "status": "1"}, {"type": "Ready", "status": "2"}]},
    }
    foos = resource("", "pods")
    assert table.row(foos, obj, NOW, custom) == ["f", "red", "2", 3, "60m", None, '[1,"a"]']
    assert [c["priority"] for c in table.columns(foos, custom)] == [0, 0, 0, 1, 0, 0, 0]
    assert [c["name"] for c in table.CustomColumns(None).definitions] == ["Name", "Age"]


def test_jsonpath() -> None:
    value = {"a": {"b.c": [1, 2, 3], "d": [{"k": "x", "n": 1}, {"k": "y", "n": 2}]}}
    assert jsonpath(r"{.a.b\.c[0]}", value) == [1]
    assert jsonpath(".a['b.c'][-1]", value) == [3]
    assert jsonpath(".a['b.c'][0:2]", value) == [1, 2]
    assert jsonpath(".a.d[*].k", value) == ["x", "y"]
    assert jsonpath("..k", value) == ["x", "y"]
    assert jsonpath(".a.d[?(@.n>1)].k", value) == ["y"]
    assert jsonpath('.a.d[?(@.k=="z")].k', value) == []
    with pytest.raises(JSONPathError):
        jsonpath(".a[", value)
