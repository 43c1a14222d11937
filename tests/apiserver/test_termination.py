"""An API server that is told to end: what was asked is answered, what is new is told to go elsewhere."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import time
from pathlib import Path

import aiohttp

from tests.support.apiserver import RunningServer, run_api_server

MAPS = "/api/v1/namespaces/default/configmaps"


async def _open(server: RunningServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port, ssl=server.tls())


async def _half_a_request(
    server: RunningServer,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A create whose second half is not sent yet."""
    reader, writer = await _open(server)
    body = json.dumps({"metadata": {"name": "late"}}).encode()
    head = (
        f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:5])
    await writer.drain()
    return reader, writer, body[5:]


async def test_readiness_first_then_watches_and_requests_finish(tmp_path: Path) -> None:
    with run_api_server(tmp_path, {"shutdown-delay-duration": "2s"}) as server:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=server.tls())
        ) as session:
            ready = await (await session.get(f"{server.url}/readyz?verbose")).text()
            assert "[+]shutdown ok" in ready
            watch = await session.get(f"{server.url}{MAPS}?watch=true&timeoutSeconds=60")
            watched = asyncio.create_task(watch.read())
            reader, writer, rest = await _half_a_request(server)
            begun = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            closes = await _served_until_gone(server, begun)
            assert closes, "no answer told its client to leave"
            assert not watched.done() or time.monotonic() - begun >= 2
            writer.write(rest)
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 201 "), answer[:200]
            assert b"Connection: close" in answer
            await asyncio.wait_for(watched, 10)  # ended in order: no broken chunk
            writer.close()
        assert await asyncio.to_thread(server.process.wait, 15) == 0


async def _served_until_gone(server: RunningServer, begun: float) -> int:
    """Ask on new connections until they are refused; how many answers ended theirs."""
    closes = 0
    failing = False
    while True:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=server.tls())) as one,
                one.get(f"{server.url}{MAPS}") as answer,
            ):
                assert answer.status == 200
                closes += answer.headers.get("Connection") == "close"
                health = await one.get(f"{server.url}/readyz")
                failing = failing or "[-]shutdown failed" in await health.text()
        except (aiohttp.ClientConnectionError, ssl.SSLError):
            break
        await asyncio.sleep(0.05)
    assert failing
    assert time.monotonic() - begun >= 1.9, "the listener closed before the delay was over"
    return closes


async def test_new_requests_can_be_sent_elsewhere_instead_of_refused(tmp_path: Path) -> None:
    with run_api_server(tmp_path, {"shutdown-send-retry-after": True}) as server:
        reader, writer, rest = await _half_a_request(server)
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while True:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=server.tls())) as one,
                one.get(f"{server.url}{MAPS}") as answer,
            ):
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "5"
                    assert answer.headers["Connection"] == "close"
                    assert "shutting down" in await answer.text()
                    break
            assert time.monotonic() < deadline
        writer.write(rest)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 201 ")
        writer.close()
        assert await asyncio.to_thread(server.process.wait, 15) == 0
