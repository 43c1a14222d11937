"""API priority and fairness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.apiserver.conftest import Answer, Http

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS, LEVELS = f"{GROUP}/flowschemas", f"{GROUP}/prioritylevelconfigurations"
SCHEMA_HEADER = "X-Kubernetes-Pf-Flowschema-Uid"
LEVEL_HEADER = "X-Kubernetes-Pf-Prioritylevel-Uid"


async def until(http: Http, path: str, holds: Callable[[Answer], bool]) -> Answer:
    """GET until it holds."""
    answer = None
    for _ in range(200):
        answer = await http("GET", path)
        if holds(answer):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer)


def dangling(answer: Answer) -> Any:
    conditions = (answer.body.get("status") or {}).get("conditions") or [{}]
    return conditions[0]


def schema(name: str, level: str, user: str, **rule: Any) -> dict[str, Any]:
    resources = {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "namespaces": ["*"],
        "clusterScope": True,
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 50,
            "priorityLevelConfiguration": {"name": level},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": user}}],
                    "resourceRules": [{**resources, **rule}],
                }
            ],
        },
    }


def level(name: str, shares: int, response: dict[str, Any]) -> dict[str, Any]:
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": 0, "limitResponse": response}
    spec = {"type": "Limited", "limited": {**limited, "borrowingLimitPercent": 0}}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def made(http: Http) -> AsyncIterator[list[str]]:
    paths: list[str] = []
    yield paths
    for path in paths:
        await http("DELETE", path)


async def test_answers_name_their_schema_and_level(http: Http, made: list[str]) -> None:
    exempt = (await http("GET", f"{SCHEMAS}/exempt")).body["metadata"]["uid"]
    answer = await http("GET", "/api/v1/namespaces/NS")
    assert answer.headers[SCHEMA_HEADER] == exempt
    made += [f"{SCHEMAS}/e2e", f"{LEVELS}/e2e"]
    created = await http("POST", SCHEMAS, schema("e2e", "e2e", "noxu"))
    assert created.status == 201, created.body
    condition = dangling(await until(http, f"{SCHEMAS}/e2e", lambda a: bool(dangling(a))))
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "Dangling",
        "True",
        "NotFound",
    )
    default = (await http("GET", f"{SCHEMAS}/global-default")).body["metadata"]["uid"]
    refused = await http("GET", "/api/v1/namespaces", Impersonate_User="noxu")
    assert refused.status == 403  # its level does not exist: the schema does not count
    assert refused.headers[SCHEMA_HEADER] == default
    reject = {"type": "Reject"}
    found = (await http("POST", LEVELS, level("e2e", 1, reject))).body["metadata"]["uid"]
    await until(http, f"{SCHEMAS}/e2e", lambda a: dangling(a).get("status") == "False")
    refused = await http("GET", "/api/v1/namespaces", Impersonate_User="noxu")
    assert refused.headers[LEVEL_HEADER] == found
    assert refused.headers[SCHEMA_HEADER] == created.body["metadata"]["uid"]
    other = await http("GET", "/api/v1/namespaces", Impersonate_User="other")
    assert other.headers[SCHEMA_HEADER] == default


async def test_who_floods_waits_and_is_refused_and_others_are_not(
    http: Http, made: list[str]
) -> None:
    """A level without a seat and with a queue of two, which later gets a seat."""
    queue = {
        "type": "Queue",
        "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 2},
    }
    binding = {
        "metadata": {"name": http.namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "User", "name": "flood", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    made.append(f"{bindings}/{http.namespace}")
    made += [f"{SCHEMAS}/flood", f"{LEVELS}/flood"]
    await http("POST", bindings, binding)
    await http(
        "POST", LEVELS, level("flood", 0, queue)
    )  # no share at all: the level waits for ever
    await http("POST", SCHEMAS, schema("flood", "flood", "flood"))
    await until(http, f"{SCHEMAS}/flood", lambda a: dangling(a).get("status") == "False")

    async def write(number: int) -> Answer:
        return await http(
            "POST",
            "/api/v1/namespaces/NS/configmaps",
            {"metadata": {"name": f"c-{number}"}},
            Impersonate_User="flood",
        )

    first = [asyncio.create_task(write(number)) for number in range(2)]
    for _ in range(100):
        if "2.0" in await _inqueue(http):
            break
        await asyncio.sleep(0.05)
    refused = await write(3)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.body == "Too many requests, please try again later.\n"
    assert (await http("GET", "/api/v1/namespaces/NS")).status == 200
    # A share of its own: who waits goes on, one after the other.
    patch = {"spec": {"limited": {"nominalConcurrencyShares": 1}}}
    await http("PATCH", f"{LEVELS}/flood", patch, Content_Type="application/merge-patch+json")
    done = await asyncio.wait_for(asyncio.gather(*first), 10)
    assert [one.status for one in done] == [201, 201]


async def _inqueue(http: Http) -> str:
    metrics = (await http("GET", "/metrics")).body
    name = 'apiserver_flowcontrol_current_inqueue_requests{priority_level="flood"}'
    return "".join(line for line in metrics.splitlines() if line.startswith(name))


async def test_watches_are_classified_and_mandatory_objects_kept(http: Http) -> None:
    async with http.session.get(http.url(f"{SCHEMAS}?watch=true")) as stream:
        assert SCHEMA_HEADER in stream.headers
    names = {one["metadata"]["name"] for one in (await http("GET", LEVELS)).body["items"]}
    assert {"exempt", "catch-all", "system", "node-high", "workload-low"} <= names
