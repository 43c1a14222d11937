"""kill -9 of the API server under write load: no acknowledged write is lost, watchers resume without gaps."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.support.apiserver import RunningServer, run_api_server

KILLS = 100
WRITERS = 4
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
FAULTS = (aiohttp.ClientError, ConnectionError, TimeoutError)


class Load:
    """Writers that note what was acknowledged, and a watcher that notes what it was shown."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.acknowledged: dict[str, tuple[int, str]] = {}
        self.unknown: set[str] = set()
        self.seen: dict[str, list[tuple[int, str]]] = {}
        self.resumed = 0
        self.revision = 0
        self.stop = asyncio.Event()

    async def write(self, session: aiohttp.ClientSession, writer: int) -> None:
        """Create objects and change each once; a write that broke off may or may not have happened."""
        number = 0
        while not self.stop.is_set():
            name = f"w{writer}-{number}"
            number += 1
            for method, value in (("POST", "created"), ("PUT", "changed")):
                revision = await self._send(session, method, name, value)
                if revision is None:
                    break
                self.acknowledged[name] = (revision, value)

    async def _send(
        self, session: aiohttp.ClientSession, method: str, name: str, value: str
    ) -> int | None:
        path = CONFIG_MAPS if method == "POST" else f"{CONFIG_MAPS}/{name}"
        body = {"metadata": {"name": name}, "data": {"value": value}}
        try:
            async with session.request(method, self.server.url + path, json=body) as answer:
                document = await answer.json()
                assert answer.status in {200, 201}, document
                return int(document["metadata"]["resourceVersion"])
        except FAULTS:
            self.unknown.add(name)
            await asyncio.sleep(0.02)
            return None

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Follow everything, resuming from the last revision seen whenever the connection breaks."""
        while True:
            with contextlib.suppress(*FAULTS):
                async for event in self._events(session):
                    self._note(event)
            self.resumed += 1
            await asyncio.sleep(0.02)

    async def _events(self, session: aiohttp.ClientSession) -> AsyncIterator[dict[str, Any]]:
        query = f"?watch=1&resourceVersion={self.revision}"
        async with session.get(self.server.url + CONFIG_MAPS + query) as answer:
            assert answer.status == 200, await answer.text()
            buffer = b""
            async for chunk in answer.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    yield orjson.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        assert event["type"] in {"ADDED", "MODIFIED"}, event
        meta = event["object"]["metadata"]
        revision = int(meta["resourceVersion"])
        assert revision > self.revision, "an event came twice, or out of order"
        self.revision = revision
        value = (event["object"].get("data") or {}).get("value", "")
        self.seen.setdefault(meta["name"], []).append((revision, value))


@pytest.mark.timeout(600)
async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    with run_api_server(tmp_path) as server:
        load = Load(server)
        load.revision = await start_revision(server)
        connector = aiohttp.TCPConnector(ssl=server.tls())
        async with aiohttp.ClientSession(connector=connector) as session:
            tasks = [asyncio.create_task(load.write(session, n)) for n in range(WRITERS)]
            watcher = asyncio.create_task(load.watch(session))
            dice = random.Random(1)
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.02, 0.25))
                server.kill()
                await asyncio.to_thread(server.restart)
            await asyncio.sleep(0.3)
            load.stop.set()
            await asyncio.gather(*tasks)
            stored = await stored_objects(session, server)
            await caught_up(load, stored)
            watcher.cancel()
    check(load, stored)


async def start_revision(server: RunningServer) -> int:
    connector = aiohttp.TCPConnector(ssl=server.tls())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(server.url + CONFIG_MAPS) as answer,
    ):
        return int((await answer.json())["metadata"]["resourceVersion"])


async def stored_objects(
    session: aiohttp.ClientSession, server: RunningServer
) -> dict[str, tuple[int, str]]:
    async with session.get(server.url + CONFIG_MAPS) as answer:
        items = (await answer.json())["items"]
    return {
        item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), item["data"]["value"])
        for item in items
        if item["metadata"]["name"].startswith("w")
    }


async def caught_up(load: Load, stored: dict[str, tuple[int, str]]) -> None:
    newest = max(revision for revision, _ in stored.values())
    async with asyncio.timeout(20):
        while load.revision < newest:
            await asyncio.sleep(0.05)


def check(load: Load, stored: dict[str, tuple[int, str]]) -> None:
    assert len(load.acknowledged) > KILLS, "too little was written for the test to mean anything"
    assert load.resumed >= KILLS / 2
    for name, (revision, value) in load.acknowledged.items():
        assert name in stored, f"{name} was acknowledged and is gone"
        if name not in load.unknown:
            assert stored[name] == (revision, value)
        else:
            assert stored[name][0] >= revision
        assert (revision, value) in load.seen[name], f"the watcher missed {name} at {revision}"
    for name, final in stored.items():
        assert load.seen[name][-1] == final
