"""A light HTTP/1.1 load generator over TLS: keep-alive connections, one request each at a time.

It shares the cores with the server that it measures, so it does next to nothing per answer: it looks for the end of the
head, reads Content-Length (or the chunked end) and notes the time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

_HEAD_END = b"\r\n\r\n"


@dataclass
class Result:
    """Counts and latencies (seconds) of a run."""

    seconds: float = 0.0
    bytes: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Latency that `share` of the answers stay below, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """A request's bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: benchmark\r\nAccept: application/json\r\n{headers}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer before it is complete."""

    def __init__(
        self, requests: Iterator[bytes], result: Result, done: asyncio.Future[None]
    ) -> None:
        self._requests = requests
        self._result = result
        self._done = done
        self._buffer = bytearray()
        self._needed = -1
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if self._needed < 0:
            end = buffer.find(_HEAD_END)
            if end < 0:
                return
            self._start(bytes(buffer[:end]), end + 4)
        if self._needed == 0:
            if not buffer.endswith(b"0\r\n\r\n"):
                return
        elif len(buffer) < self._needed:
            return
        self._result.bytes += len(buffer)
        self._result.latencies.append(time.perf_counter() - self._sent)
        buffer.clear()
        self._needed = -1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _start(self, head: bytes, size: int) -> None:
        if not 200 <= int(head[9:12]) < 300:
            self._result.errors += 1
        low = head.lower()
        at = low.find(b"content-length:")
        if at < 0:
            self._needed = 0
            return
        self._needed = size + int(low[at + 15 :].split(b"\r\n", 1)[0])

    def _next(self) -> None:
        following = next(self._requests, None)
        if following is None or self._transport is None:
            if not self._done.done():
                self._done.set_result(None)
            if self._transport is not None:
                self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(following)


async def run(
    port: int, tls: ssl.SSLContext, requests: Iterator[bytes], connections: int
) -> Result:
    """Send all requests over so many connections."""
    result = Result()
    loop = asyncio.get_running_loop()
    waiting = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for future in waiting:
        await loop.create_connection(
            partial(_Connection, requests, result, future),
            "127.0.0.1",
            port,
            ssl=tls,
            server_hostname="localhost",
        )
    await asyncio.gather(*waiting)
    result.seconds = time.perf_counter() - started
    return result


def for_seconds(make: Callable[[], bytes], seconds: float) -> Iterator[bytes]:
    """Requests until the time is up."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield make()


class Watcher(asyncio.Protocol):
    """A watch connection that counts the frames it gets."""

    def __init__(self, path: str, on_frames: Callable[[int], None]) -> None:
        self._path = path
        self._on_frames = on_frames
        self._head = bytearray()
        self._open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(request("GET", self._path))

    def data_received(self, data: bytes) -> None:
        if not self._open:
            self._head += data
            end = self._head.find(_HEAD_END)
            if end < 0:
                return
            self._open = True
            self.opened.set_result(None)
            data = bytes(self._head[end + 4 :])
        count = data.count(b"}\n")
        if count:
            self._on_frames(count)
