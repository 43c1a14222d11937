"""Discovery: `/api`, `/apis`, and the resource lists below them, aggregated where asked for."""

from __future__ import annotations

from kubeinstall.api.discovery import MEDIA_TYPES
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import Output, negotiate
from kubeinstall.apiserver.respond import send, send_object, unknown_path

_PATHS = (
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
)


async def root(core: Core, exchange: Exchange) -> None:
    """`/`: the paths there are."""
    paths = set(_PATHS)
    for served in core.catalog:
        resource = served.resource
        if resource.group:
            paths |= {f"/apis/{resource.group}", f"/apis/{resource.api_version}"}
        else:
            paths.add(f"/api/{resource.version}")
    await send_object(exchange, 200, {"paths": sorted(paths)})


async def core_versions(core: Core, exchange: Exchange) -> None:
    """`/api`."""
    if await _aggregated(core, exchange, legacy=True):
        return
    settings = core.settings
    address = settings.advertise_address or settings.bind_address
    document = core.catalog.discovery.api_versions(f"{address}:{settings.secure_port}")
    await send_object(exchange, 200, document, _output(exchange))


async def groups(core: Core, exchange: Exchange) -> None:
    """`/apis`."""
    if not await _aggregated(core, exchange, legacy=False):
        await send_object(exchange, 200, core.catalog.discovery.groups(), _output(exchange))


async def _aggregated(core: Core, exchange: Exchange, *, legacy: bool) -> bool:
    """Answer with the aggregated document if that is what the client prefers."""
    accept = exchange.headers.get("Accept", "")
    if "as=APIGroupDiscoveryList" not in accept:
        return False
    for clause in accept.split(","):
        wanted = {part.strip() for part in clause.split(";")}
        for version, media_type in MEDIA_TYPES.items():
            if {
                "as=APIGroupDiscoveryList",
                f"v={version}",
            } <= wanted and "application/json" in wanted:
                document = core.catalog.discovery.aggregated(legacy=legacy, version=version)
                headers = [("Etag", document.etag), ("Vary", "Accept")]
                if document.etag in exchange.headers.get("If-None-Match", ""):
                    exchange.respond(304, "", b"", headers)
                else:
                    await send(exchange, 200, document.body, media_type, headers)
                return True
    return False


async def resources(core: Core, exchange: Exchange) -> None:
    """`/api/VERSION`, `/apis/GROUP` and `/apis/GROUP/VERSION`."""
    discovery = core.catalog.discovery
    parts = exchange.path.strip("/").split("/")
    document = None
    if parts[0] == "api" and len(parts) == 2:
        document = discovery.resources("", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        document = discovery.group(parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        document = discovery.resources(parts[1], parts[2])
    if document is None:
        unknown_path(exchange)
        return
    await send_object(exchange, 200, document, _output(exchange))


def _output(exchange: Exchange) -> Output:
    return negotiate(
        exchange.headers.get("Accept", ""),
        exchange.query.get("pretty"),
        exchange.user_agent,
        protobuf=False,
    )
