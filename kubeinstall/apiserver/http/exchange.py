"""One request and its answer.

Answers are written to the transport in one piece where possible: on the read path the HTTP library's
response objects would cost as much as everything else together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kubeinstall.errors import RequestTooLarge

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from kubeinstall.apiserver.request import User

#: Upstream's limit of a request body, bytes.
BODY_LIMIT = 3 * 1024 * 1024

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Connection(RequestHandler):
    """A client's connection: remembers who its certificate says it is, and who waits for its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user: User | None = None
        self.user_until = 0.0
        self._on_lost: set[Callable[[], None]] = set()
        self._peer: bytes | None = None
        self._peer_read = False

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's certificate (DER), not verified; None without TLS or certificate."""
        if not self._peer_read and self.transport is not None:
            self._peer_read = True
            tls = self.transport.get_extra_info("ssl_object")
            self._peer = tls.getpeercert(binary_form=True) if tls is not None else None
        return self._peer

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the client goes away; returns a function that takes that back."""
        self._on_lost.add(callback)
        return lambda: self._on_lost.discard(callback)

    async def drained(self) -> None:
        """Wait until the client has read most of what was written; raises when it is gone."""
        await self._drain_helper()

    def close(self) -> None:
        """Of aiohttp's server, when it ends. A connection whose request is under way must go on reading: its body may
        still be coming; it ends with the answer."""
        if not self._request_in_progress:
            super().close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Of asyncio's protocol: the connection ended."""
        super().connection_lost(exc)
        for callback in list(self._on_lost):
            callback()
        self._on_lost.clear()


class Answered:
    """What a handler returns to aiohttp once the answer is written: nothing is left to do."""

    __slots__ = ("keep_alive", "status")

    def __init__(self, status: int, keep_alive: bool) -> None:
        self.status = status
        self.keep_alive = keep_alive

    async def prepare(self, _request: web.BaseRequest) -> None:
        """Of aiohttp's responses."""

    async def write_eof(self) -> None:
        """Of aiohttp's responses."""


class _Clock:
    """The `Date` header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._header = b""

    def header(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._header = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._header


_CLOCK = _Clock()


class Exchange:
    """A request being answered. Exactly one of `respond`, `start` … `finish`, or `hijack` is used."""

    __slots__ = (
        "_is_last",
        "_request",
        "audit_id",
        "connection",
        "flow",
        "headers",
        "method",
        "params",
        "path",
        "query",
        "raw_path",
        "raw_query",
        "status",
        "transport",
        "warnings",
    )

    def __init__(self, request: web.BaseRequest, is_last: Callable[[], bool]) -> None:
        """`is_last` tells whether the server is about to end, and the connection with the answer."""
        self._request = request
        self._is_last = is_last
        self.method: str = request.method
        self.headers: CIMultiDictProxy[str] = request.headers
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101 - made by our server
        self.connection = connection
        self.transport = connection.transport
        target, _, self.raw_query = request.raw_path.partition("?")
        if not target.startswith("/"):
            target = request.rel_url.raw_path  # absolute form
        self.raw_path = target
        self.path = unquote(target) if "%" in target else target
        #: First value of each parameter, and all of them.
        self.query: dict[str, str] = {}
        self.params: dict[str, list[str]] = {}
        if self.raw_query:
            for key, value in parse_qsl(self.raw_query, keep_blank_values=True):
                if key in self.params:
                    self.params[key].append(value)
                else:
                    self.params[key] = [value]
                    self.query[key] = value
        self.status = 0
        self.audit_id = ""
        #: Header lines that tell the priority and fairness of the request, each with its line end.
        self.flow = ""
        self.warnings: list[str] = []

    @property
    def user_agent(self) -> str:
        """The client's name for itself."""
        return self.headers.get("User-Agent", "")

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole request body. Raises `RequestTooLarge` over `limit` bytes."""
        content = self._request.content
        if "Expect" in self.headers and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = self._request.content_length
        if length is not None and length > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        while not content.at_eof():
            chunk = await content.readany()
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def read_chunk(self) -> bytes:
        """The next piece of the request body, empty at its end: for proxying."""
        return await self._request.content.readany()

    def respond(
        self,
        status: int,
        content_type: str,
        body: bytes | Iterable[bytes],
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send the whole answer. `body` may come in pieces, which are not copied together."""
        pieces = [body] if isinstance(body, bytes) else list(body)
        length = sum(map(len, pieces))
        head = self._head(status, content_type, headers)
        if status == HTTPStatus.NO_CONTENT or status < HTTPStatus.OK:
            pieces = []
            head += b"\r\n"
        else:
            head += b"Content-Length: %d\r\n\r\n" % length
        if self.method == "HEAD":
            pieces = []
        self._send([head, *pieces], length)

    def start(
        self, status: int, content_type: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Send the head of a chunked answer."""
        head = self._head(status, content_type, headers)
        self._send([head + b"Transfer-Encoding: chunked\r\n\r\n"], 0)

    def write(self, data: bytes) -> None:
        """Send one chunk of an answer begun with `start`."""
        if data and self.transport is not None:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write_raw(self, framed: bytes) -> None:
        """Send bytes that are framed as chunks already."""
        if self.transport is not None:
            self.transport.write(framed)

    async def respond_in_pieces(
        self,
        status: int,
        content_type: str,
        pieces: Iterable[bytes],
        length: int,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send a large answer of `length` bytes as fast as the client reads, never all at once."""
        head = self._head(status, content_type, headers)
        self._send([head, b"Content-Length: %d\r\n\r\n" % length], 0)
        for piece in pieces:
            if self.transport is not None:
                self.transport.write(piece)
            await self.drain()

    async def drain(self) -> None:
        """Wait while the client is slow to read. Raises `ConnectionError` when it is gone."""
        if self.lost:
            raise ConnectionResetError("client went away")
        await self.connection.drained()

    def finish(self) -> None:
        """End a chunked answer."""
        if self.transport is not None and not self.lost:
            self.transport.write(b"0\r\n\r\n")

    @property
    def lost(self) -> bool:
        """Whether the client is gone."""
        return self.transport is None or self.transport.is_closing()

    def answered(self) -> Answered:
        """What goes back to the HTTP library."""
        return Answered(self.status, self._keep_alive)

    def upgraded(self) -> bytes:
        """Give the connection away to another protocol; returns bytes that came already.

        The caller has written its 101 and calls `transport.set_protocol`.
        """
        tail = bytes(getattr(self.connection, "_message_tail", b""))
        self.connection._message_tail = b""
        self.status = HTTPStatus.SWITCHING_PROTOCOLS
        return tail

    @property
    def _keep_alive(self) -> bool:
        return (
            self._request.keep_alive
            and self.status != HTTPStatus.SWITCHING_PROTOCOLS
            and not self._is_last()
        )

    def _head(self, status: int, content_type: str, headers: Iterable[tuple[str, str]]) -> bytes:
        self.status = status
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n".encode()]
        lines.append(_CLOCK.header())
        headers = list(headers)
        own = any(name == "Cache-Control" for name, _ in headers)
        text = "" if own else "Cache-Control: no-cache, private\r\n"
        if self.audit_id:
            text = f"Audit-Id: {self.audit_id}\r\n{text}{self.flow}"
        if content_type:
            text += f"Content-Type: {content_type}\r\n"
        for warning in dict.fromkeys(self.warnings):
            text += f"Warning: 299 - {_quote(warning)}\r\n"
        for name, value in headers:
            text += f"{name}: {value}\r\n"
        if not self._request.keep_alive or self._is_last():
            text += "Connection: close\r\n"
        lines.append(text.encode("utf-8", "replace"))
        return b"".join(lines)

    def _send(self, pieces: list[bytes], size: int) -> None:
        transport = self.transport
        if transport is None:
            return
        if size < 64 * 1024:
            transport.write(b"".join(pieces))
        else:
            transport.writelines(pieces)


def _quote(warning: str) -> str:
    """A quoted-string of RFC 7230; control characters cannot stand in a header."""
    clean = "".join(c for c in warning if c >= " " and c != "\x7f")
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"Request entity too large: limit is {limit}")
