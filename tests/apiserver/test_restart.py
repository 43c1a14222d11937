"""What survives the server's sudden death."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from pathlib import Path

import aiohttp

from tests.support.apiserver import RunningServer, run_api_server

KILLS = 5
MAPS = "/api/v1/namespaces/default/configmaps"


async def _write(server: RunningServer, tls: ssl.SSLContext, kept: list[str], run: int) -> None:
    """Create until the server dies; remember what it acknowledged."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        for number in range(100_000):
            name = f"m-{run}-{number}"
            try:
                async with session.post(
                    server.url + MAPS, json={"metadata": {"name": name}}
                ) as answer:
                    if answer.status == 201:
                        kept.append(name)
            except (aiohttp.ClientError, OSError):
                return


async def _follow(server: RunningServer, tls: ssl.SSLContext, seen: set[str], after: str) -> str:
    """Watch from `after` until the server dies; returns the newest revision seen."""
    url = f"{server.url}{MAPS}?watch=1&resourceVersion={after}"
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.get(url) as answer,
        ):
            async for line in answer.content:
                event = json.loads(line)
                assert event["type"] == "ADDED", event
                seen.add(event["object"]["metadata"]["name"])
                after = event["object"]["metadata"]["resourceVersion"]
    return after


async def test_no_acknowledged_write_is_lost_and_watchers_resume_without_gaps(
    tmp_path: Path,
) -> None:
    kept: list[str] = []
    seen: set[str] = set()
    with run_api_server(tmp_path) as server:
        tls = server.tls()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.get(server.url + MAPS) as answer,
        ):
            after = (await answer.json())["metadata"]["resourceVersion"]
        for run in range(KILLS):
            writers = [
                asyncio.create_task(_write(server, tls, kept, run * 10 + one)) for one in range(4)
            ]
            watcher = asyncio.create_task(_follow(server, tls, seen, after))
            await asyncio.sleep(0.3)
            server.kill()
            await asyncio.gather(*writers)
            after = await watcher
            await asyncio.to_thread(server.restart)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.get(
                f"{server.url}{MAPS}?watch=1&resourceVersion={after}&timeoutSeconds=1"
            ) as answer,
        ):
            async for line in answer.content:
                seen.add(json.loads(line)["object"]["metadata"]["name"])
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.get(server.url + MAPS) as answer,
        ):
            stored = {item["metadata"]["name"] for item in (await answer.json())["items"]}
    await asyncio.sleep(0.05)
    assert len(kept) > KILLS
    assert set(kept) <= stored
    assert stored <= seen
