"""Node ports: which are free.

The truth is what the services in the watch cache hold. A port given out stays reserved until its
service shows up there or its write fails; a crash forgets reservations, and nothing else.
"""

from __future__ import annotations

import random
import time

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import traits
from kubeinstall.apiserver.hooks.cluster_ips import AllocationError
from kubeinstall.apiserver.registry import Registry

#: A reservation whose write was neither seen nor rolled back in this time is void.
_RESERVED_SECONDS = 60.0
_RANDOM_TRIES = 16


class NodePorts:
    """Gives out node ports of a range."""

    def __init__(self, registry: Registry, ports: range) -> None:
        self._range = ports
        self._holders: dict[int, set[str]] = {}
        self._reserved: dict[int, float] = {}
        self._random = random.SystemRandom()
        registry.observe(kind("services"), self._service_changed)

    def allocate(self) -> int:
        """Reserve a free port. Raises `AllocationError`."""
        size = len(self._range)
        band = min(max(16, size // 32), 128)
        low = band if size > band else 0
        tries: list[int] = [
            self._range[self._random.randrange(low, size)] for _ in range(_RANDOM_TRIES)
        ]
        candidates: tuple[int, ...] = (*tries, *self._range[low:], *self._range[:low])
        for port in candidates:
            if self._is_free(port):
                self._reserved[port] = time.monotonic() + _RESERVED_SECONDS
                return port
        raise AllocationError("range is full")

    def claim(self, port: int) -> None:
        """Reserve this port. Raises `AllocationError`."""
        if port not in self._range:
            first, last = self._range[0], self._range[-1]
            raise AllocationError(
                f"provided port is not in the valid range. "
                f"The range of valid ports is {first}-{last}"
            )
        if not self._is_free(port):
            raise AllocationError("provided port is already allocated")
        self._reserved[port] = time.monotonic() + _RESERVED_SECONDS

    def release(self, ports: set[int]) -> None:
        """Forget reservations of ports."""
        for port in ports:
            self._reserved.pop(port, None)

    def _is_free(self, port: int) -> bool:
        if port in self._holders:
            return False
        until = self._reserved.get(port)
        return until is None or until < time.monotonic()

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        for port in traits.node_ports(old) if old is not None else ():
            holders = self._holders.get(port)
            if holders is not None:
                holders.discard(traits.key(old or {}))
                if not holders:
                    del self._holders[port]
        for port in traits.node_ports(new) if new is not None else ():
            self._holders.setdefault(port, set()).add(traits.key(new or {}))
            self._reserved.pop(port, None)
