"""Claims of node ports and services that disagree are brought together: upstream's port allocator repair.

A port that a service has and nobody claimed is claimed for it. A claim without a service has leaked
(its server died between claim and service, or between a service's end and giving back): it is dropped
when three looks in a row saw the very same claim, so that no service under way loses its port.
"""

from __future__ import annotations

import contextlib

import structlog

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import traits
from kubeinstall.apiserver.hooks.events import RepairEvents
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.hooks.port_claims import Claim
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import NotFound

_log = structlog.get_logger(__name__)
#: Upstream's number of looks before a leak is one.
_LOOKS = 3


class PortRepair:
    """Looks at everything, each time `run` is called."""

    def __init__(self, registry: Registry, ports: NodePorts) -> None:
        self._registry = registry
        self._ports = ports
        self._events = RepairEvents(registry, "portallocator-repair-controller", "PortAllocation")
        self._leaks: dict[tuple[int, int], int] = {}  # (port, revision) → looks that saw it

    async def run(self) -> None:
        """One look. Raises `StoreError` when the datastore cannot."""
        # Claims first: whatever is claimed now belongs to a service stored before the services are read, or to one
        # under way.
        claims = await self._ports.claims.all()
        with contextlib.suppress(NotFound):
            await self._registry.get_live(kind("namespaces"), "default")
        owners: dict[int, Object] = {}
        for service in self._registry.list(kind("services")):
            for port in sorted(traits.node_ports(service)):
                await self._look_at(port, service, owners, claims)
        await self._drop_leaks({p: c for p, c in claims.items() if p not in owners})

    async def _look_at(
        self, port: int, service: Object, owners: dict[int, Object], claims: dict[int, Claim]
    ) -> None:
        claim = claims.get(port)
        uid = service["metadata"].get("uid", "")
        ports = self._ports.range
        if port in owners:
            note = f"Port {port} was assigned to multiple services; please recreate service"
            await self._events.warn(service, "PortAlreadyAllocated", note)
            return
        owners[port] = service
        if port not in ports:
            note = f"Port {port} is not within the port range {ports[0]}-{ports[-1]}; please recreate service"
            await self._events.warn(service, "PortOutOfRange", note)
        elif claim is None:
            # A service may have come and claimed since the claims were read.
            if await self._ports.claims.take(port, service):
                note = f"Port {port} is not allocated; repairing"
                await self._events.warn(service, "PortNotAllocated", note)
        elif claim.uid != uid and not self._has(claim, port):
            await self._ports.claims.hand_over(claim, service)

    def _has(self, claim: Claim, port: int) -> bool:
        """Whether the service of a claim has its port."""
        try:
            holder = self._registry.get(kind("services"), claim.name, claim.namespace)
        except (NotFound, KeyError):
            return False
        same = holder["metadata"].get("uid", "") == claim.uid
        return same and port in traits.node_ports(holder)

    async def _drop_leaks(self, unowned: dict[int, Claim]) -> None:
        seen: dict[tuple[int, int], int] = {}
        for port, claim in unowned.items():
            looks = self._leaks.get((port, claim.revision), 0) + 1
            if looks < _LOOKS:
                seen[(port, claim.revision)] = looks
                _log.info("node port may have leaked", port=port, looks=looks)
            else:
                _log.warning("node port has leaked and is free again", port=port)
                await self._ports.claims.drop(claim)
        self._leaks = seen
