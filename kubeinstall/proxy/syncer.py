"""Turns services and slices into plans and brings them into the tables.

Whole services are recomputed, never deltas; which services are dirty is all that is remembered between
runs, so an event that comes twice or is lost in a relist does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.proxy.chains import Family, Masquerading
from kubeinstall.proxy.conntrack import Conntrack, UdpTarget
from kubeinstall.proxy.endpoints import Reachable, parse_slices, select
from kubeinstall.proxy.healthcheck import Asked, HealthCheckServers
from kubeinstall.proxy.plan import Plan, of_family, plan_service
from kubeinstall.proxy.service import ServiceInfo, parse_service
from kubeinstall.proxy.table import Table


@dataclass(frozen=True, slots=True)
class Place:
    """Where this proxy runs."""

    node: str
    zone: str = ""


@dataclass(slots=True)
class Known:
    """Raw objects of one service."""

    service: Object | None
    slices: list[Object] = field(default_factory=list)


@dataclass(slots=True)
class _Update:
    changes: dict[str, Plan | None] = field(default_factory=dict)
    flows: list[UdpTarget] = field(default_factory=list)
    sticky: list[str] = field(default_factory=list)


class Syncer:
    """Owns the tables, the conntrack cleaning and the health check servers."""

    def __init__(
        self,
        tables: dict[str, Table],
        masquerading: dict[str, Masquerading],
        conntrack: Conntrack,
        servers: HealthCheckServers,
    ) -> None:
        self._tables = tables
        self._masquerading = masquerading
        self._conntrack = conntrack
        self._servers = servers
        self._flows: dict[tuple[str, str], tuple[UdpTarget, ...]] = {}

    @property
    def services(self) -> int:
        """How many services are programmed."""
        return len({key for table in self._tables.values() for key in table.services()})

    async def sync(self, known: dict[str, Known], place: Place) -> None:
        """Bring the services in `known` (by `namespace/name`) up to date; others stay as they are."""
        parsed = {
            key: parse_service(item.service) if item.service else None
            for key, item in known.items()
        }
        health: dict[str, Asked | None] = {}
        for name, table in self._tables.items():
            update = _Update()
            for key, item in known.items():
                self._plan(update, table, key, parsed[key], item, place, health)
            await table.apply(update.changes)
            if update.sticky:
                await table.forget_clients(update.sticky)
            if update.flows:
                await self._conntrack.forget_stale(update.flows, name)
        await self._servers.update(health)

    def doubt(self) -> None:
        """Rebuild the tables at the next sync."""
        for table in self._tables.values():
            table.doubtful = True

    def _plan(
        self,
        update: _Update,
        table: Table,
        key: str,
        service: ServiceInfo | None,
        item: Known,
        place: Place,
        health: dict[str, Asked | None],
    ) -> None:
        old = table.plan(key)
        family = table.family
        flow_key = (family.name, key)
        if service is None:
            update.changes[key] = None
            health.setdefault(key, None)
            gone = self._flows.pop(flow_key, ())
            update.flows += [UdpTarget(t.address, t.port, frozenset()) for t in gone]
            return
        reachable = _reachable(service, item.slices, family, place)
        plan = plan_service(service, reachable, family, self._masquerading[family.name])
        update.changes[key] = plan
        if old is not None and plan.targets and plan.targets != old.targets:
            update.sticky.append(key)
        flows = tuple(_udp_targets(service, reachable, family))
        previous = self._flows.pop(flow_key, None)
        if flows:
            self._flows[flow_key] = flows
        if flows != (previous or ()):
            now = {(t.address, t.port) for t in flows}
            update.flows += flows
            update.flows += [
                UdpTarget(t.address, t.port, frozenset())
                for t in previous or ()
                if (t.address, t.port) not in now
            ]
        if service.health_port:
            local = {e.ip for found in reachable.values() for e in found.local if e.ready}
            before = health.get(key)
            count = len(local) + (before.local if before else 0)
            health[key] = Asked(service.health_port, service.namespace, service.name, count)
        else:
            health.setdefault(key, None)


def _reachable(
    service: ServiceInfo, slices: Iterable[Object], family: Family, place: Place
) -> dict[str, Reachable]:
    result: dict[str, Reachable] = {}
    for port in service.ports:
        endpoints = parse_slices(slices, port.name, port.protocol, family.slice_type, place.node)
        result[f"{port.name}/{port.protocol}"] = select(endpoints, place.node, place.zone)
    return result


def _udp_targets(
    service: ServiceInfo, reachable: dict[str, Reachable], family: Family
) -> Iterable[UdpTarget]:
    for port in service.ports:
        if port.protocol != "udp":
            continue
        found = reachable[f"{port.name}/{port.protocol}"]
        allowed = frozenset((e.ip, e.port) for e in (*found.cluster, *found.local))
        addresses = service.cluster_ips + service.external_ips + service.balancer_ips
        for address in of_family(addresses, family):
            yield UdpTarget(address, port.port, allowed)
        if port.node_port:
            yield UdpTarget("", port.node_port, allowed)
