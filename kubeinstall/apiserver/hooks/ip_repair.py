"""IPAddress objects and services that disagree are brought together: upstream's IP allocator repair."""

from __future__ import annotations

import contextlib
import ipaddress
import time

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import traits
from kubeinstall.apiserver.hooks.cluster_ips import (
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    ClusterIPs,
    is_parent,
)
from kubeinstall.apiserver.hooks.events import RepairEvents
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, Conflict, NotFound

#: The service of a new address may be about to be stored: no request takes longer.
_GRACE_SECONDS = 60.0


class IPRepair:
    """Looks at everything, each time `run` is called."""

    def __init__(self, registry: Registry, ips: ClusterIPs) -> None:
        self._registry = registry
        self._ips = ips
        controller = "ipallocator-repair-controller"
        self._services = RepairEvents(registry, controller, "ClusterIPAllocation")
        self._addresses = RepairEvents(registry, controller, "IPAddressAllocation")

    async def run(self) -> None:
        """One look. Raises `StoreError` when the datastore cannot."""
        with contextlib.suppress(NotFound):
            await self._registry.get_live(kind("namespaces"), "default")
        holders = {
            holder["metadata"]["name"]: holder
            for holder in self._registry.list(kind("ipaddresses", GROUP))
        }
        users: dict[str, Object] = {}
        for service in self._registry.list(kind("services")):
            for address in traits.cluster_ips(service):
                await self._look_at(service, address, holders.get(address), users)
        for address, holder in holders.items():
            if address not in users and _is_ours(holder) and _is_old(holder):
                await self._drop(holder)

    async def _look_at(
        self, service: Object, address: str, holder: Object | None, users: dict[str, Object]
    ) -> None:
        metadata = service["metadata"]
        family = f"IPv{ipaddress.ip_address(address).version}"
        shown = f"[{family}]: {address}"
        if address in users:
            note = f"Cluster IP {shown} was assigned to multiple services; please recreate service"
            await self._services.warn(service, "ClusterIPAlreadyAllocated", note)
            return
        if not self._ips.in_range(address):
            note = f"Cluster IP {shown} is not within any configured Service CIDR; please recreate service"
            await self._services.warn(service, "ClusterIPOutOfRange", note)
        if holder is None:
            users[address] = service
            note = f"Cluster IP {shown} is not allocated; repairing"
        elif is_parent(holder, service):
            users[address] = service
            return
        elif self._another_has(holder, address):
            note = f"Cluster IP {shown} was assigned to multiple services; please recreate service"
            await self._services.warn(service, "ClusterIPAlreadyAllocated", note)
            return
        else:
            users[address] = service
            await self._delete(holder)
            note = (
                f"the ClusterIP {shown} for Service {metadata.get('namespace', '')}/{metadata['name']} has a wrong"
                " reference; repairing"
            )
        if await self._ips.take(service, address):
            await self._services.warn(service, "ClusterIPNotAllocated", note)

    def _another_has(self, holder: Object, address: str) -> bool:
        """Whether the service that an IPAddress names has the address."""
        parent = (holder.get("spec") or {}).get("parentRef") or {}
        try:
            name, namespace = parent.get("name", ""), parent.get("namespace", "")
            other = self._registry.get(kind("services"), name, namespace)
        except (NotFound, KeyError):
            return False
        return address in traits.cluster_ips(other)

    async def _drop(self, holder: Object) -> None:
        parent = (holder.get("spec") or {}).get("parentRef") or {}
        name = holder["metadata"]["name"]
        note = (
            f"IPAddress: {name} for Service {parent.get('namespace', '')}/{parent.get('name', '')} appears to have"
            " leaked: cleaning up"
        )
        if await self._delete(holder):
            await self._addresses.warn(holder, "IPAddressNotAllocated", note)

    async def _delete(self, holder: Object) -> bool:
        metadata = holder["metadata"]
        options = {"preconditions": {"uid": metadata.get("uid", "")}}
        try:
            await self._registry.delete(
                kind("ipaddresses", GROUP), "", metadata["name"], options=options
            )
        except (NotFound, Conflict, AlreadyExists):
            return False  # another server was faster
        return True


def _is_ours(holder: Object) -> bool:
    labels = holder["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY_LABEL) == MANAGED_BY)


def _is_old(holder: Object) -> bool:
    created = holder["metadata"].get("creationTimestamp")
    return created is None or time.time() - times.unix(created) > _GRACE_SECONDS
