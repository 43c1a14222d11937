"""Byte for byte tunnels from a client of the kubelet to the runtime's streaming server.

The client's request is sent on as it came, but for its path; what the runtime answers, its 101 included,
goes back as it came. So SPDY and WebSocket work alike, and nothing here understands either.
"""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

from aiohttp import web

_HOP = frozenset({b"host", b"authorization", b"x-forwarded-for"})


class _Side(asyncio.Protocol):
    """One end: gives what it reads to the other's transport, with back-pressure."""

    def __init__(
        self, done: asyncio.Future[None], previous: asyncio.Protocol | None = None
    ) -> None:
        self.other: asyncio.Transport | None = None
        self.transport: asyncio.Transport | None = None
        self._done = done
        self._previous = previous

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.close()
        if self._previous is not None:
            self._previous.connection_lost(exc)  # the HTTP server keeps count of its connections
        if not self._done.done():
            self._done.set_result(None)


async def tunnel(request: web.BaseRequest, url: str, idle_seconds: float) -> None:
    """Connect the client with `url` until one of them closes, at most `idle_seconds`. Raises OSError."""
    target = urlsplit(url)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    upstream = _Side(done)
    remote, _ = await loop.create_connection(
        lambda: upstream, target.hostname or "", target.port or 80
    )
    client = request.transport
    if client is None or client.is_closing():
        remote.close()
        return
    # Not a word may be read by the HTTP parser any more once the runtime has answered.
    near = _Side(done, cast("asyncio.Protocol", client.get_protocol()))
    near.connection_made(client)
    near.other, upstream.other = remote, client
    client.set_protocol(near)
    path = target.path + (f"?{target.query}" if target.query else "")
    remote.write(_head(request, path, target.netloc))
    try:
        async with asyncio.timeout(idle_seconds or None):
            await done
    except TimeoutError:
        pass
    finally:
        remote.close()
        client.close()


def _head(request: web.BaseRequest, path: str, host: str) -> bytes:
    lines = [f"{request.method} {path} HTTP/1.1".encode(), f"Host: {host}".encode()]
    for name, value in request.raw_headers:
        if name.lower() not in _HOP:
            lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
