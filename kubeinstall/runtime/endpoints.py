"""A small HTTP server for a component's health and metrics on its upstream port.

Plain HTTP on loopback, as kube-proxy's and the kubelet's; components that must serve TLS (the API server, the kubelet,
the controller manager's and scheduler's secure ports) pass an `ssl.SSLContext`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from kubeinstall.runtime.component import ComponentContext
from kubeinstall.runtime.health import answer


def metrics_response(registry: CollectorRegistry) -> web.Response:
    """The registry in Prometheus' text format."""
    return web.Response(
        body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


@asynccontextmanager
async def serve_endpoints(
    context: ComponentContext,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve `/healthz`, `/livez`, `/readyz`, `/metrics` and `/configz`-free basics; yields the bound port.

    `port` 0 picks a free one; a negative port serves nothing (upstream's "0 disables" is the caller's to map).
    """
    if port < 0:
        yield 0
        return

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/metrics":
            return metrics_response(context.metrics)
        query = {key: request.query.getall(key) for key in request.query}
        result = await answer(context.health, request.path, query)
        if result is None:
            return web.Response(status=404, text="404 page not found\n")
        return web.Response(status=result[0], text=result[1])

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_address=True)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
