"""Conversion webhooks of custom resources, against a real HTTPS server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import Answer, Http
from tests.apiserver_policy.webhook_server import WebhookServer

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "stable.example.com"
SCHEMA = {
    "openAPIV3Schema": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("hostPort", "host", "port", "again")},
    }
}


class Conversions:
    """Converts v1 (hostPort) to v2 (host and port) and back, as the webhook of upstream's tests."""

    def __init__(self) -> None:
        self.fail = ""
        self.reviews: list[dict[str, Any]] = []
        self.spoil: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The `response` of a ConversionReview."""
        self.reviews.append(request)
        if self.fail:
            return {"result": {"status": "Failure", "message": self.fail}}
        objects = [self.converted(one, request["desiredAPIVersion"]) for one in request["objects"]]
        return {"result": {"status": "Success"}, "convertedObjects": objects}

    def converted(self, obj: dict[str, Any], wanted: str) -> dict[str, Any]:
        """One object."""
        new = json.loads(json.dumps(obj))
        assert new["apiVersion"] != wanted
        if wanted.endswith("/v2"):
            new["host"], new["port"] = new.pop("hostPort").split(":")
        else:
            new["hostPort"] = f"{new.pop('host')}:{new.pop('port')}"
        new["apiVersion"] = wanted
        new["metadata"].setdefault("labels", {})["converted"] = "yes"
        new["metadata"]["generation"] = 99  # not for a webhook to change
        return {**new, **self.spoil}


@pytest.fixture
async def conversions(http: Http, tmp_path: Path) -> AsyncIterator[Conversions]:
    found = Conversions()
    async with WebhookServer(tmp_path).running() as server:
        server.answers["/convert"] = found.answer
        definition = {
            "metadata": {"name": f"{http.namespace}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "scope": "Namespaced",
                "names": {"plural": http.namespace, "kind": "Hook" + http.namespace[2:].title()},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": SCHEMA,
                        "selectableFields": [{"jsonPath": ".hostPort"}],
                    },
                    {
                        "name": "v2",
                        "served": True,
                        "storage": False,
                        "schema": SCHEMA,
                        "selectableFields": [{"jsonPath": ".host"}, {"jsonPath": ".port"}],
                    },
                ],
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {
                        "clientConfig": server.config("/convert"),
                        "conversionReviewVersions": ["v1", "v1beta1"],
                    },
                },
            },
        }
        made = await http("POST", DEFINITIONS, definition)
        assert made.status == 201, made.body
        for _ in range(100):
            if (await http("GET", f"/apis/{GROUP}/v2/namespaces/NS/NS")).status == 200:
                break
            await asyncio.sleep(0.05)
        yield found
        found.fail = ""
        found.spoil = {}
        await http("DELETE", f"{DEFINITIONS}/{http.namespace}.{GROUP}")


async def make(http: Http, version: str, name: str, **fields: str) -> Answer:
    kind = "Hook" + http.namespace[2:].title()
    body = {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": {"name": name}, **fields}
    return await http("POST", f"/apis/{GROUP}/{version}/namespaces/NS/NS", body)


def path(version: str, name: str = "") -> str:
    return f"/apis/{GROUP}/{version}/namespaces/NS/NS" + (f"/{name}" if name else "")


async def store_v2(http: Http) -> None:
    """Make v2 the version to store."""
    patch = [
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    ]
    answer = await http(
        "PATCH",
        f"{DEFINITIONS}/{http.namespace}.{GROUP}",
        json.dumps(patch),
        Content_Type="application/json-patch+json",
    )
    assert answer.status == 200, answer.body
    assert answer.body["status"]["storedVersions"] == ["v1", "v2"]


async def test_an_object_is_shown_in_each_version(http: Http, conversions: Conversions) -> None:
    made = await make(http, "v1", "a", hostPort="example.com:80")
    assert made.status == 201, made.body
    assert conversions.reviews == []  # written and shown in the stored version
    shown = (await http("GET", path("v2", "a"))).body
    assert (shown["apiVersion"], shown["host"], shown["port"]) == (
        f"{GROUP}/v2",
        "example.com",
        "80",
    )
    assert "hostPort" not in shown
    assert shown["metadata"]["generation"] == 1
    assert shown["metadata"]["labels"] == {"converted": "yes"}
    (review,) = conversions.reviews
    assert review["desiredAPIVersion"] == f"{GROUP}/v2"
    assert review["objects"][0]["apiVersion"] == f"{GROUP}/v1"
    await http("GET", path("v2", "a"))
    assert len(conversions.reviews) == 1  # known by now
    table = await http("GET", path("v2"), Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table.body["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_writes_in_another_version_than_the_stored_one(
    http: Http, conversions: Conversions
) -> None:
    made = await make(http, "v2", "b", host="h", port="1")
    assert (made.status, made.body["host"], made.body["apiVersion"]) == (201, "h", f"{GROUP}/v2")
    assert (await http("GET", path("v1", "b"))).body["hostPort"] == "h:1"
    patched = await http(
        "PATCH", path("v2", "b"), {"port": "2"}, Content_Type="application/merge-patch+json"
    )
    assert patched.body["port"] == "2"
    current = (await http("GET", path("v1", "b"))).body
    assert (current["hostPort"], current["metadata"]["generation"]) == ("h:2", 2)
    applied = await http(
        "PATCH",
        path("v2", "b") + "?fieldManager=m&force=true",
        {"apiVersion": f"{GROUP}/v2", "kind": current["kind"], "port": "3"},
        Content_Type="application/apply-patch+yaml",
    )
    assert applied.status == 200, applied.body
    assert (await http("GET", path("v1", "b"))).body["hostPort"] == "h:3"
    assert (await http("DELETE", path("v2", "b"))).status == 200
    assert (await http("GET", path("v1", "b"))).status == 404


async def test_a_list_of_objects_stored_in_different_versions(
    http: Http, conversions: Conversions
) -> None:
    await make(http, "v1", "old", hostPort="o:1")
    await store_v2(http)
    await make(http, "v2", "new", host="n", port="2")
    for version, expected in (("v1", ["n:2", "o:1"]), ("v2", [None, None])):
        items = (await http("GET", path(version))).body["items"]
        assert [one.get("hostPort") for one in items] == expected
        assert {one["apiVersion"] for one in items} == {f"{GROUP}/{version}"}
    items = (await http("GET", path("v2"))).body["items"]
    assert [(one["host"], one["port"]) for one in items] == [("n", "2"), ("o", "1")]
    # The migration of storage: written as it was read, it is stored in the new version.
    old = (await http("GET", path("v2", "old"))).body
    done = await http("PUT", path("v2", "old"), old)
    assert done.body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]
    again = await http("PUT", path("v2", "old"), done.body)
    assert again.body["metadata"]["resourceVersion"] == done.body["metadata"]["resourceVersion"]
    conversions.fail = "not asked any more"
    assert (await http("GET", path("v2"))).status == 200


async def test_watchers_see_their_version_in_order(http: Http, conversions: Conversions) -> None:
    await make(http, "v1", "w", hostPort="a:0")
    url = http.url(path("v2") + "?watch=true")
    async with http.session.get(url) as stream:

        async def event() -> Any:
            return json.loads(await asyncio.wait_for(stream.content.readline(), 5))

        assert (await event())["object"]["port"] == "0"
        for number in range(1, 4):
            patch = {"hostPort": f"a:{number}"}
            await http("PATCH", path("v1", "w"), patch, Content_Type="application/merge-patch+json")
        await http("DELETE", path("v1", "w"))
        seen = [await event() for _ in range(4)]
        assert [(one["type"], one["object"]["port"]) for one in seen] == [
            ("MODIFIED", "1"),
            ("MODIFIED", "2"),
            ("MODIFIED", "3"),
            ("DELETED", "3"),
        ]
        await make(http, "v1", "broken", hostPort="a:0")
        assert (await event())["type"] == "ADDED"
        conversions.fail = "no"
        await make(http, "v1", "broken-2", hostPort="a:0")
        failed = await event()
        assert (failed["type"], failed["object"]["code"]) == ("ERROR", 500)


async def test_fields_are_those_of_the_converted_object(
    http: Http, conversions: Conversions
) -> None:
    for number in (1, 2):
        await make(http, "v1", f"s-{number}", hostPort=f"host{number}:80")
    await make(http, "v2", "s-3", host="host1", port="81")

    async def names(version: str, selector: str) -> list[str]:
        answer = await http("GET", f"{path(version)}?fieldSelector={selector}&limit=1")
        return [one["metadata"]["name"] for one in answer.body["items"]]

    assert await names("v2", "host%3Dhost1") == ["s-1", "s-3"]
    assert await names("v2", "host%3Dhost1,port%3D80") == ["s-1"]
    assert await names("v1", "hostPort%3Dhost2:80") == ["s-2"]
    url = http.url(f"{path('v2')}?watch=true&fieldSelector=host%3Dhost1")
    async with http.session.get(url) as stream:

        async def event() -> tuple[str, str]:
            found = json.loads(await asyncio.wait_for(stream.content.readline(), 5))
            return found["type"], found["object"]["metadata"]["name"]

        assert sorted([await event(), await event()]) == [("ADDED", "s-1"), ("ADDED", "s-3")]
        for name, value in (("s-2", "host1:1"), ("s-2", "host1:2"), ("s-2", "other:2")):
            patch = {"hostPort": value}
            await http(
                "PATCH", path("v1", name), patch, Content_Type="application/merge-patch+json"
            )
        await http("DELETE", path("v1", "s-1"))
        assert [await event() for _ in range(4)] == [
            ("ADDED", "s-2"),
            ("MODIFIED", "s-2"),
            ("DELETED", "s-2"),
            ("DELETED", "s-1"),
        ]


async def test_what_a_webhook_does_wrong_is_told(http: Http, conversions: Conversions) -> None:
    await make(http, "v1", "e", hostPort="a:0")
    kind = "Hook" + http.namespace[2:].title()
    called = f"conversion webhook for {GROUP}/v1, Kind={kind}"

    async def message() -> str:
        answer = await http("GET", path("v2", "e"))
        assert answer.status == 500
        return str(answer.body["message"])

    conversions.fail = "out of order"
    assert await message() == f"{called} failed: out of order"
    assert (await http("GET", path("v1", "e"))).status == 200
    conversions.fail = ""
    conversions.spoil = {"kind": "Other"}
    assert f"invalid kind (expected {kind}, received Other)" in await message()
    conversions.spoil = {"apiVersion": f"{GROUP}/v3"}
    assert f"(expected {GROUP}/v2, received {GROUP}/v3)" in await message()
    conversions.spoil = {"metadata": {"name": "f"}}
    assert "must have the same name: e != f" in await message()
    refused = await make(http, "v2", "x", host="h", port="1")
    assert refused.status == 500
    assert (await http("GET", path("v1", "x"))).status == 404
