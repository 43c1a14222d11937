"""Upgraded connections, byte for byte: SPDY and WebSocket alike.

Our request to the backend asks for the same upgrade as the client's to us. Its 101 is passed on, and
from then on two pipes copy bytes, each pausing its source while its sink is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import cast

from kubeinstall.apiserver.http import Exchange
from kubeinstall.errors import ServiceUnavailable

_HEAD_LIMIT = 64 * 1024  # bytes of a response's head
_BODY_LIMIT = 1 << 20  # bytes of a refusal
_ANSWER_SECONDS = 30.0
_HOP_HEADERS = frozenset(
    {"host", "authorization", "content-length", "transfer-encoding", "connection"}
)
#: By these a client could claim to be somebody, or has told us who to act as.
_IDENTITY = ("x-remote-", "impersonate-")


def wants_upgrade(exchange: Exchange) -> bool:
    """Whether the client asks for another protocol."""
    return "upgrade" in exchange.headers.get("Connection", "").lower()


@dataclass(slots=True)
class Backend:
    """Where a tunnel leads."""

    host: str
    port: int
    target: str  # path and query
    tls: ssl.SSLContext | None
    connect_seconds: float = 5.0
    #: What its certificate must be for, where that is not `host`.
    server_name: str = ""
    #: Who asks, for a backend that believes us.
    headers: tuple[tuple[str, str], ...] = ()


async def tunnel(exchange: Exchange, backend: Backend) -> None:
    """Connect, ask, and splice until either side is done. Passes a refusal on as it is."""
    reader = _Pipe()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(backend.connect_seconds):
            await loop.create_connection(
                lambda: reader,
                backend.host,
                backend.port,
                ssl=backend.tls,
                server_hostname=(backend.server_name or backend.host) if backend.tls else None,
            )
    except (OSError, TimeoutError) as error:
        reason = str(error) or "timed out"
        raise ServiceUnavailable(
            f"error trying to reach service: dial tcp {backend.host}:{backend.port}: {reason}"
        ) from error
    try:
        reader.write(_request(exchange, backend))
        async with asyncio.timeout(_ANSWER_SECONDS):
            head = await reader.head()
        if not head.startswith(b"HTTP/1.1 101"):
            await _refuse(exchange, reader, head)
            return
        await _splice(exchange, reader, head)
    except (TimeoutError, ConnectionError) as error:
        if exchange.status:
            return
        raise ServiceUnavailable(f"error trying to reach service: {error or 'EOF'}") from error
    finally:
        reader.close()


def _request(exchange: Exchange, backend: Backend) -> bytes:
    host = f"[{backend.host}]" if ":" in backend.host else backend.host
    lines = [f"{exchange.method} {backend.target} HTTP/1.1", f"Host: {host}:{backend.port}"]
    lines += [
        f"{name}: {value}"
        for name, value in exchange.headers.items()
        if name.lower() not in _HOP_HEADERS and not name.lower().startswith(_IDENTITY)
    ]
    lines += [f"{name}: {value}" for name, value in backend.headers]
    lines += ["Connection: Upgrade"]
    if exchange.method != "GET":
        lines += ["Content-Length: 0"]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


async def _refuse(exchange: Exchange, reader: _Pipe, head: bytes) -> None:
    """The backend did not upgrade: hand its answer on."""
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ", 2)[1])
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if ":" in line)
    }
    length = headers.get("content-length")
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            await reader.fill(
                int(length) if length else None, until=b"0\r\n\r\n" if chunked else b""
            )
    body = bytes(reader.buffer)
    if chunked:
        body = _unchunk(body)
    exchange.respond(status, headers.get("content-type", "text/plain"), body)


def _unchunk(data: bytes) -> bytes:
    pieces = []
    while data:
        size_text, _, data = data.partition(b"\r\n")
        size = int(size_text.partition(b";")[0] or b"0", 16)
        if size == 0:
            break
        pieces.append(data[:size])
        data = data[size + 2 :]
    return b"".join(pieces)


async def _splice(exchange: Exchange, backend: _Pipe, head: bytes) -> None:
    transport = exchange.transport
    if transport is None:
        return
    client = _Pipe()
    early = exchange.upgraded()
    client.connection_made(transport)
    client.peer, backend.peer = backend, client
    transport.write(head + bytes(backend.buffer))
    backend.buffer.clear()
    transport.set_protocol(client)
    if early:
        backend.write(early)
    await asyncio.wait(
        [asyncio.ensure_future(client.closed), asyncio.ensure_future(backend.closed)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    backend.close()
    client.close()


class _Pipe(asyncio.Protocol):
    """One end of a tunnel: gathers a head at first, then copies to its peer."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.peer: _Pipe | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._more = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.write(data)
            return
        self.buffer += data
        self._more.set()

    def eof_received(self) -> bool:
        return False  # close: half-open connections serve nobody here

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        self._more.set()
        if self.peer is not None:
            self.peer.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer._transport is not None:
            self.peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer._transport is not None:
            self.peer._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send to this end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once all is written."""
        if self._transport is not None:
            self._transport.close()

    async def head(self) -> bytes:
        """The response's head, with its empty line; what follows stays in `buffer`."""
        await self.fill(None, until=b"\r\n\r\n", limit=_HEAD_LIMIT)
        end = self.buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            raise ConnectionResetError("EOF")
        head = bytes(self.buffer[:end])
        del self.buffer[:end]
        return head

    async def fill(self, size: int | None, *, until: bytes = b"", limit: int = _BODY_LIMIT) -> None:
        """Wait until the buffer has `size` bytes, contains `until`, or the connection ends."""
        while len(self.buffer) < limit and not self.closed.done():
            if size is not None and len(self.buffer) >= size:
                return
            if until and until in self.buffer:
                return
            self._more.clear()
            await self._more.wait()
