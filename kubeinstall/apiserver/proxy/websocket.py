"""A stream of bytes sent as WebSocket messages, one way: what upstream does with logs (RFC 6455).

Subprotocols are upstream's: `binary.k8s.io` or none (binary messages), `base64.binary.k8s.io` (text).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

from kubeinstall.apiserver.http import Exchange
from kubeinstall.errors import BadRequest

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
_TEXT_FRAME, _BINARY_FRAME, _CLOSE_FRAME = 0x81, 0x82, 0x88
_NORMAL_CLOSURE = (1000).to_bytes(2, "big")


def wants_websocket(exchange: Exchange) -> bool:
    """Whether the client asks for WebSocket messages."""
    headers = exchange.headers
    return (
        headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in headers.get("Connection", "").lower()
    )


async def send_stream(exchange: Exchange, pieces: AsyncIterator[bytes]) -> None:
    """Upgrade, send every piece as a message of its own, close. Raises `BadRequest` before the upgrade."""
    transport = exchange.transport
    if transport is None:
        return
    protocol = _choose(exchange.headers.get("Sec-WebSocket-Protocol", ""))
    head = _head(exchange.headers.get("Sec-WebSocket-Key", ""), protocol)
    exchange.upgraded()
    client = _Client(transport)
    transport.write(head)
    transport.set_protocol(client)
    kind = _TEXT_FRAME if protocol == _BASE64 else _BINARY_FRAME
    transport.write(frame(kind, b""))  # upstream's sign that the stream has begun
    sending = asyncio.ensure_future(_send(client, pieces, kind))
    try:
        await asyncio.wait([sending, client.closed], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            transport.write(frame(_CLOSE_FRAME, _NORMAL_CLOSURE))
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        transport.close()


async def _send(client: _Client, pieces: AsyncIterator[bytes], kind: int) -> None:
    async for piece in pieces:
        data = base64.b64encode(piece) if kind == _TEXT_FRAME else piece
        client.transport.write(frame(kind, data))
        await client.writable.wait()


def frame(kind: int, data: bytes) -> bytes:
    """One final, unmasked frame, as servers send."""
    size = len(data)
    if size < 126:
        return bytes((kind, size)) + data
    if size < 1 << 16:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + data
    return bytes((kind, 127)) + size.to_bytes(8, "big") + data


def _choose(offered: str) -> str:
    names = [name.strip() for name in offered.split(",") if name.strip()]
    if not names:
        return ""
    for name in names:
        if name in (_BINARY, _BASE64):
            return name
    raise BadRequest(f"requested protocol(s) are not supported: {names}")


def _head(key: str, protocol: str) -> bytes:
    if not key:
        raise BadRequest("missing Sec-WebSocket-Key")
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
    ]
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Client(asyncio.Protocol):
    """The other end: nothing it says matters but that it goes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        """The client is slow."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """It caught up."""
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """A close frame ends the stream; all else is ignored."""
        if data and data[0] == _CLOSE_FRAME and not self.closed.done():
            self.closed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self.writable.set()
        if not self.closed.done():
            self.closed.set_result(None)
