"""Watches: where they begin, what they show, how they end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.apiserver.conftest import Http
from tests.support.apiserver import run_api_server

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
        await http.create_configmap("b")
        later = await events.next()
    assert event["object"]["kind"] == "Table"
    assert event["object"]["rows"][0]["cells"][0] == "a"
    assert event["object"]["columnDefinitions"][0]["name"] == "Name"
    assert later["object"]["rows"][0]["cells"][0] == "b"
    assert later["object"]["columnDefinitions"] is None


async def test_a_watcher_that_does_not_read_is_dropped(http: Http) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", http.server.port, ssl=http.server.tls(), limit=1024
    )
    target = f"{MAPS}?watch=1".replace("NS", http.namespace)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await http.create_configmap("a")
    patch = {"Content_Type": "application/merge-patch+json"}
    for number in range(40):  # 20 MB, more than sockets and the server hold back
        body = {"data": {"k": str(number) + "v" * 500_000}}
        assert (await http("PATCH", f"{MAPS}/a", body, **patch)).status == 200
    metrics = (await http("GET", "/metrics")).body
    dropped = [line for line in metrics.splitlines() if line.startswith("apiserver_terminated")]
    assert float(dropped[0].split()[1]) >= 1
    writer.transport.abort()


async def test_watches_end_when_the_server_stops(tmp_path: Path) -> None:
    with run_api_server(tmp_path) as server:
        tls = server.tls()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.get(f"{server.url}/api/v1/namespaces?watch=1") as answer,
        ):
            await anext(aiter(answer.content))
            begun = time.monotonic()
            server.process.terminate()
            while await answer.content.readany():
                pass
            assert await asyncio.to_thread(server.process.wait, 10) == 0
            assert time.monotonic() - begun < 4
    await asyncio.sleep(0.05)
