"""The listening socket, on aiohttp's low-level server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from kubeinstall.apiserver.http.exchange import Connection, Exchange

_LINE_LIMIT = 64 * 1024  # bytes of the request line, and of one header

Handler = Callable[[Exchange], Awaitable[None]]


class _Server(web.Server):
    """Makes connections of our class."""

    def __call__(self) -> Connection:
        """One connection's protocol: called by the event loop."""
        return Connection(self, loop=self._loop, **self._kwargs)


class HttpServer:
    """Serves `handler`, which answers each `Exchange` and raises nothing."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.AbstractServer | None = None
        self._protocol: _Server | None = None
        #: Set when the server is about to end: each answer says that its connection ends.
        self.last_requests = False

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Listen; returns the port. Raises `OSError` when the address is taken."""
        loop = asyncio.get_running_loop()
        handle: Any = self._handle  # returns what aiohttp calls on a response, not a response
        self._protocol = _Server(
            handle,
            access_log=None,
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
            auto_decompress=False,
            lingering_time=1.0,
        )
        self._server = await loop.create_server(
            self._protocol, host, port, ssl=tls, reuse_address=True, backlog=1024
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._protocol.connections) if self._protocol is not None else 0

    def close(self) -> None:
        """Stop listening, and end connections that nothing is asked on; requests under way go on."""
        self.last_requests = True
        if self._server is not None:
            self._server.close()
        if self._protocol is not None:
            self._protocol.pre_shutdown()

    async def stop(self, grace: float) -> None:
        """Stop listening, give requests under way `grace` seconds, then close what is left."""
        self.close()
        if self._protocol is not None:
            await self._protocol.shutdown(grace)

    async def _handle(self, request: web.BaseRequest) -> object:
        exchange = Exchange(request, self._is_last)
        await self._handler(exchange)
        return exchange.answered()

    def _is_last(self) -> bool:
        return self.last_requests
