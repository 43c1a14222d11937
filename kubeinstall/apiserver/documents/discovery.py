"""Discovery: `/api`, `/apis`, and the resource lists below them, aggregated where asked for."""

from __future__ import annotations

from kubeinstall.api import discovery
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import JSON, negotiate
from kubeinstall.apiserver.respond import encode, send, send_object, unknown_path

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _wants_aggregated(exchange: Exchange) -> bool:
    accept = exchange.headers.get("Accept", "")
    return "as=APIGroupDiscoveryList" in accept and "v=v2" in accept


async def root(core: Core, exchange: Exchange) -> None:
    """`/`: the paths there are."""
    paths = {
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/version",
    }
    for served in core.catalog:
        resource = served.resource
        if resource.group:
            paths |= {f"/apis/{resource.group}", f"/apis/{resource.api_version}"}
        else:
            paths.add(f"/api/{resource.version}")
    await send_object(exchange, 200, {"paths": sorted(paths)})


async def core_versions(core: Core, exchange: Exchange) -> None:
    """`/api`."""
    if _wants_aggregated(exchange):
        body = encode(discovery.aggregated_core(), _output(exchange))
        await send(exchange, 200, body, _AGGREGATED)
        return
    address = f"{core.settings.advertise_address or core.settings.bind_address}:{core.settings.secure_port}"
    await send_object(exchange, 200, discovery.api_versions(address), _output(exchange))


async def groups(_core: Core, exchange: Exchange) -> None:
    """`/apis`."""
    if _wants_aggregated(exchange):
        body = encode(discovery.aggregated_groups(), _output(exchange))
        await send(exchange, 200, body, _AGGREGATED)
        return
    await send_object(exchange, 200, discovery.api_group_list(), _output(exchange))


async def resources(_core: Core, exchange: Exchange) -> None:
    """`/api/VERSION`, `/apis/GROUP` and `/apis/GROUP/VERSION`."""
    parts = exchange.path.strip("/").split("/")
    document = None
    if parts[0] == "api" and len(parts) == 2:
        document = discovery.api_resource_list("", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        document = discovery.api_group(parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        document = discovery.api_resource_list(parts[1], parts[2])
    if document is None:
        unknown_path(exchange)
        return
    await send_object(exchange, 200, document, _output(exchange))


def _output(exchange: Exchange):  # type: ignore[no-untyped-def]
    accept = exchange.headers.get("Accept", "")
    if "as=APIGroupDiscoveryList" in accept:
        accept = JSON
    return negotiate(accept, exchange.query.get("pretty"), exchange.user_agent)
