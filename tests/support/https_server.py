"""A small HTTPS server for tests, which leaves no connection open when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serve_https(handler: Handler, host: str, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Every request, of any path and method, goes to the handler; yields the port, a free one."""
    used: set[asyncio.BaseTransport] = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            used.add(request.transport)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        # A TLS connection that ends politely waits for the other side, which may be slow or gone.
        for transport in used:
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        await asyncio.sleep(0.1)  # they are closed on the loop
