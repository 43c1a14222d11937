"""Endpoints of a service port, from its EndpointSlices, and which of them traffic may go to.

Follows upstream's `pkg/proxy/endpointslicecache.go` and `pkg/proxy/topology.go`: duplicates over slices
count once; hints narrow the ready ones; where nothing is ready, endpoints that are terminating and still
serving are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeinstall.api.types import Object


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address and port; `local` says that it runs on this node."""

    ip: str
    port: int
    local: bool = False
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reachable:
    """The endpoints that each traffic policy allows."""

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]


def parse_slices(
    slices: Iterable[Object], port_name: str, protocol: str, family: str, node: str
) -> list[Endpoint]:
    """The endpoints of the port called `port_name`, ordered by address; `family` is IPv4 or IPv6."""
    found: dict[tuple[str, int], Endpoint] = {}
    for piece in slices:
        if piece.get("addressType") != family:
            continue
        for port in piece.get("ports") or []:
            if (port.get("name") or "") != port_name or port.get("port") is None:
                continue
            if (port.get("protocol") or "TCP").lower() != protocol:
                continue
            for entry in piece.get("endpoints") or []:
                endpoint = _parse(entry, port["port"], node)
                known = found.get((endpoint.ip, endpoint.port))
                if known is None or (endpoint.ready and not known.ready):
                    found[endpoint.ip, endpoint.port] = endpoint
    return [found[key] for key in sorted(found)]


def select(endpoints: list[Endpoint], node: str, zone: str) -> Reachable:
    """Choose by readiness, hints and place."""
    ready = [endpoint for endpoint in endpoints if endpoint.ready]
    cluster = _by_hints(ready, node, zone)
    if not cluster:
        cluster = [e for e in endpoints if e.serving and e.terminating]
    local = [e for e in ready if e.local]
    if not local:
        local = [e for e in endpoints if e.local and e.serving and e.terminating]
    return Reachable(tuple(cluster), tuple(local))


def _by_hints(ready: list[Endpoint], node: str, zone: str) -> list[Endpoint]:
    """Hints count only when every ready endpoint has them and some endpoint is left."""
    if ready and all(endpoint.nodes for endpoint in ready):
        near = [endpoint for endpoint in ready if node in endpoint.nodes]
        if near:
            return near
    if zone and ready and all(endpoint.zones for endpoint in ready):
        near = [endpoint for endpoint in ready if zone in endpoint.zones]
        if near:
            return near
    return ready


def _parse(entry: Object, port: int, node: str) -> Endpoint:
    conditions = entry.get("conditions") or {}
    hints = entry.get("hints") or {}
    ready = conditions.get("ready")
    serving = conditions.get("serving")
    return Endpoint(
        ip=entry["addresses"][0],
        port=port,
        local=entry.get("nodeName") == node,
        ready=ready is None or ready,
        serving=(ready is None or ready) if serving is None else serving,
        terminating=bool(conditions.get("terminating")),
        zones=tuple(hint["name"] for hint in hints.get("forZones") or []),
        nodes=tuple(hint["name"] for hint in hints.get("forNodes") or []),
    )
