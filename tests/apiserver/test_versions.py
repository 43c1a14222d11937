"""One object, seen through several versions of its API."""

from __future__ import annotations

from tests.apiserver.conftest import Http
from tests.apiserver.test_watch import watching

V1 = "/apis/autoscaling/v1/namespaces/NS/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers"
CORE = "/api/v1/namespaces/NS/events"
EVENTS = "/apis/events.k8s.io/v1/namespaces/NS/events"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}


async def test_an_autoscaler_in_both_versions(http: Http) -> None:
    made = await http(
        "POST",
        V1,
        {
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 4,
                "scaleTargetRef": TARGET,
                "targetCPUUtilizationPercentage": 60,
            },
        },
    )
    assert made.status == 201, made.body
    assert made.body["apiVersion"] == "autoscaling/v1"
    other = (await http("GET", f"{V2}/h")).body
    metric = other["spec"]["metrics"][0]["resource"]
    assert metric == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    async with watching(http, path=V1) as events:
        seen = await events.expect(("ADDED", "h"))
        assert seen["object"]["spec"]["targetCPUUtilizationPercentage"] == 60
        patched = await http(
            "PATCH",
            f"{V1}/h",
            {"spec": {"targetCPUUtilizationPercentage": 70}},
            Content_Type="application/strategic-merge-patch+json",
        )
        assert patched.status == 200, patched.body
        changed = await events.expect(("MODIFIED", "h"))
        assert changed["object"]["spec"]["targetCPUUtilizationPercentage"] == 70
    put = (await http("GET", f"{V2}/h")).body
    assert put["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    put["spec"]["maxReplicas"] = 9
    assert (await http("PUT", f"{V2}/h", put)).status == 200
    assert (await http("GET", f"{V1}/h")).body["spec"]["maxReplicas"] == 9


async def test_an_event_in_both_groups(http: Http) -> None:
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "name": "p", "namespace": http.namespace},
        "reportingController": "example.com/c",
        "reportingInstance": "i",
        "action": "A",
        "reason": "R",
        "type": "Normal",
        "note": "text",
    }
    made = await http("POST", EVENTS, event)
    assert made.status == 201, made.body
    core = (await http("GET", f"{CORE}/e")).body
    assert (core["message"], core["involvedObject"]["name"]) == ("text", "p")
    for path, field in ((EVENTS, "regarding.name"), (CORE, "involvedObject.name")):
        found = (await http("GET", f"{path}?fieldSelector={field}%3Dp")).body["items"]
        assert [item["metadata"]["name"] for item in found] == ["e"]
        none = (await http("GET", f"{path}?fieldSelector={field}%3Dq")).body["items"]
        assert none == []
