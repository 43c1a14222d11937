"""Node ports: which are free, and taking them.

What is taken is decided by `port_claims`. The services in the watch cache only say which ports need
not be tried, and keep those of services from before there were claims from being given out again.
"""

from __future__ import annotations

import random

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import traits
from kubeinstall.apiserver.hooks.cluster_ips import AllocationError
from kubeinstall.apiserver.hooks.port_claims import PortClaims
from kubeinstall.apiserver.registry import Registry

_RANDOM_TRIES = 16


class NodePorts:
    """Gives out node ports of a range."""

    def __init__(self, registry: Registry, ports: range, claims: PortClaims) -> None:
        self.range = ports
        self.claims = claims
        self._holders: dict[int, set[str]] = {}
        self._random = random.SystemRandom()
        registry.observe(kind("services"), self._service_changed)

    async def allocate(self, service: Object) -> int:
        """Take a free port. Raises `AllocationError` when there is none."""
        size = len(self.range)
        # Upstream keeps the lower band for ports that people choose.
        band = min(max(16, size // 32), 128)
        low = band if size > band else 0
        tries: list[int] = [
            self.range[self._random.randrange(low, size)] for _ in range(_RANDOM_TRIES)
        ]
        candidates: tuple[int, ...] = (*tries, *self.range[low:], *self.range[:low])
        for port in candidates:
            if port not in self._holders and await self.claims.take(port, service):
                return port
        raise AllocationError("range is full")

    async def claim(self, service: Object, port: int, dry_run: bool) -> None:
        """Take this port; a dry run only looks. Raises `AllocationError`."""
        if port not in self.range:
            first, last = self.range[0], self.range[-1]
            raise AllocationError(
                f"provided port is not in the valid range. "
                f"The range of valid ports is {first}-{last}"
            )
        if port in self._holders:
            taken = True
        elif dry_run:
            taken = await self.claims.get(port) is not None
        else:
            taken = not await self.claims.take(port, service)
        if taken:
            raise AllocationError("provided port is already allocated")

    async def release(self, service: Object, ports: set[int]) -> None:
        """Give ports back that are this service's."""
        for port in ports:
            await self.claims.give_back(port, service)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        for port in traits.node_ports(old) if old is not None else ():
            holders = self._holders.get(port)
            if holders is not None:
                holders.discard(traits.key(old or {}))
                if not holders:
                    del self._holders[port]
        for port in traits.node_ports(new) if new is not None else ():
            self._holders.setdefault(port, set()).add(traits.key(new or {}))
