"""What is no resource: discovery, OpenAPI, version, health, metrics, the service-account issuer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.documents import discovery, issuer, openapi, version
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.request import RequestInfo, User
from kubeinstall.apiserver.respond import send_text, unknown_path
from kubeinstall.runtime import health

Handler = Callable[[Core, Exchange], Awaitable[None]]

_EXACT: dict[str, Handler] = {
    "/": discovery.root,
    "/api": discovery.core_versions,
    "/api/": discovery.core_versions,
    "/apis": discovery.groups,
    "/apis/": discovery.groups,
    "/version": version.serve,
    "/version/": version.serve,
    "/openapi/v2": openapi.v2,
    "/openapi/v3": openapi.v3_index,
    "/.well-known/openid-configuration": issuer.configuration,
    "/openid/v1/jwks": issuer.keys,
}


async def serve_plain(core: Core, exchange: Exchange, _info: RequestInfo, _user: User) -> None:
    """Answer a request that names no resource."""
    path = exchange.path
    handler = _EXACT.get(path)
    if handler is not None:
        await handler(core, exchange)
        return
    first = path.split("/", 2)[1]
    if first in ("healthz", "livez", "readyz"):
        await _health(core, exchange)
    elif path == "/metrics":
        _metrics(core, exchange)
    elif path.startswith("/openapi/v3/"):
        await openapi.v3(core, exchange)
    elif first in ("api", "apis"):
        await discovery.resources(core, exchange)
    else:
        unknown_path(exchange)


async def _health(core: Core, exchange: Exchange) -> None:
    result = await health.answer(core.health, exchange.path.rstrip("/"), exchange.params)
    if result is None:
        unknown_path(exchange)
        return
    send_text(exchange, *result)


def _metrics(core: Core, exchange: Exchange) -> None:
    from prometheus_client import generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    exchange.respond(200, CONTENT_TYPE_LATEST, generate_latest(core.metrics.registry))
