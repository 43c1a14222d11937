"""Watches: where they begin, what they show, how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.apiserver.conftest import Http

MAPS = "/api/v1/namespaces/NS/configmaps"


class Events:
    """The events of one watch."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            event: dict[str, Any] = json.loads(await anext(self._lines))
            return event

    async def expect(self, *pairs: tuple[str, str]) -> dict[str, Any]:
        event: dict[str, Any] = {}
        for kind, name in pairs:
            event = await self.next()
            assert (event["type"], event["object"]["metadata"].get("name")) == (kind, name)
        return event

    async def ended(self) -> bool:
        try:
            await self.next()
        except StopAsyncIteration:
            return True
        return False


@asynccontextmanager
async def watching(
    http: Http, query: str = "", path: str = MAPS, **headers: str
) -> AsyncIterator[Events]:
    async with http.session.get(http.url(f"{path}?watch=1&{query}"), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield Events(aiter(answer.content))


async def test_without_a_revision_it_begins_with_what_there_is(http: Http) -> None:
    await http.create_configmap("a")
    async with watching(http) as events:
        await events.expect(("ADDED", "a"))
        await http.create_configmap("b")
        await events.expect(("ADDED", "b"))
        await http("PUT", f"{MAPS}/b", {"metadata": {"name": "b"}, "data": {"k": "2"}})
        changed = await events.expect(("MODIFIED", "b"))
        await http("DELETE", f"{MAPS}/b")
        gone = await events.expect(("DELETED", "b"))
    assert changed["object"]["kind"] == "ConfigMap"
    versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in (changed, gone)]
    assert versions[0] < versions[1]


async def test_from_a_revision_nothing_is_missed_or_repeated(http: Http) -> None:
    made = await http.create_configmap("a")
    for name in "bcd":
        await http.create_configmap(name)
    async with watching(http, f"resourceVersion={made['metadata']['resourceVersion']}") as events:
        await events.expect(("ADDED", "b"), ("ADDED", "c"), ("ADDED", "d"))
        await http.create_configmap("e")
        await events.expect(("ADDED", "e"))


async def test_beginning_and_ceasing_to_match_is_added_and_deleted(http: Http) -> None:
    await http.create_configmap("a")
    label = {"Content_Type": "application/merge-patch+json"}
    async with watching(http, "labelSelector=x%3Dy") as events:
        await http("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"x": "y"}}}, **label)
        await events.expect(("ADDED", "a"))
        changed = await http("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"x": "z"}}}, **label)
        gone = await events.expect(("DELETED", "a"))
    # As it was when it last matched, at the revision of the change.
    assert gone["object"]["metadata"]["labels"] == {"x": "y"}
    version = changed.body["metadata"]["resourceVersion"]
    assert gone["object"]["metadata"]["resourceVersion"] == version


async def test_initial_events_end_with_a_bookmark(http: Http) -> None:
    await http.create_configmap("a")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(http, query) as events:
        await events.expect(("ADDED", "a"))
        mark = await events.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_history_that_is_gone_is_an_error_event(http: Http) -> None:
    async with watching(http, "resourceVersion=1", "/api/v1/configmaps") as events:
        first = await events.next()
    if first["type"] == "ERROR":  # 1 is older than what the cache holds
        assert (first["object"]["code"], first["object"]["reason"]) == (410, "Expired")
    else:  # or it is not: then it shows what there was
        assert first["type"] == "ADDED"


async def test_it_ends_in_order_after_its_timeout(http: Http) -> None:
    async with watching(http, "timeoutSeconds=1") as events:
        assert await events.ended()


async def test_one_object_by_name(http: Http) -> None:
    await http.create_configmap("a")
    async with watching(http, "fieldSelector=metadata.name%3Da") as events:
        await events.expect(("ADDED", "a"))
        await http.create_configmap("b")
        await http("DELETE", f"{MAPS}/a")
        await events.expect(("DELETED", "a"))


async def test_tables(http: Http) -> None:
    await http.create_configmap("a")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with watching(http, Accept=accept) as events:
        event = await events.next()
    assert event["object"]["kind"] == "Table"
    assert event["object"]["rows"][0]["cells"][0] == "a"
