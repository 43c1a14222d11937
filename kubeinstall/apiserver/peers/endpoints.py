"""Endpoints and EndpointSlice `default/kubernetes`: exactly the API servers that live.

Upstream: the lease endpoint reconciler of kube-apiserver (`--endpoint-reconciler-type=lease`).
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap.cluster import ensure
from kubeinstall.apiserver.peers.leases import MasterLeases
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import NotFound, StoreError

_NAME, _NAMESPACE = "kubernetes", "default"
_SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
_SERVICE_NAME = "kubernetes.io/service-name"
_SLICES = "discovery.k8s.io"


class EndpointReconciler:
    """Keeps this server's lease, and the endpoints equal to everybody's leases."""

    def __init__(self, registry: Registry, leases: MasterLeases, address: str, port: int) -> None:
        self._registry = registry
        self._leases = leases
        self._address = address
        self._port = port
        self._stopped = False
        self._lock = asyncio.Lock()

    async def reconcile(self) -> None:
        """Renew this server's lease and bring the endpoints up to date; nothing once stopped."""
        async with self._lock:
            if self._stopped:
                return
            await self._leases.renew(self._address)
            await self._write()

    async def forget(self) -> bool:
        """Take this server out until it says that it is ready; whether it was still listed: then
        it did not end in order the last time."""
        async with self._lock:
            if not await self._leases.remove(self._address):
                return False
            if await self._leases.live():
                await self._write()
            return True

    async def stop(self) -> None:
        """Take this server out for good: it ends."""
        self._stopped = True
        async with self._lock:
            await self._leases.remove(self._address)
            # The last server leaves its address there, as upstream's: no endpoints at all would
            # say that the service has nobody, which proxies turn into a refusal.
            if await self._leases.live():
                await self._write()

    async def _write(self) -> None:
        addresses = await self._leases.live()
        if not addresses:
            raise StoreError(
                "no API server's address is in the datastore: the kubernetes endpoints stay as they are"
            )
        alone = addresses == [self._address]
        ports = await self._ensure_endpoints(addresses, alone)
        await self._ensure_slice(addresses, ports)

    async def _ensure_endpoints(self, addresses: list[str], alone: bool) -> list[Object]:
        """Returns the ports that they have."""
        own = [{"name": "https", "port": self._port, "protocol": "TCP"}]
        wanted = [{"ip": address} for address in addresses]
        used: list[Any] = own

        def repair(current: Object) -> Object | None:
            nonlocal used
            subsets = current.get("subsets") or []
            labels = current["metadata"].get("labels") or {}
            sound = len(subsets) == 1 and bool(subsets[0].get("ports"))
            # Servers with different ports must not take turns in writing theirs.
            used = subsets[0]["ports"] if sound and not alone else own
            if (
                sound
                and subsets[0] == {"addresses": wanted, "ports": used}
                and labels.get(_SKIP_MIRROR) == "true"
            ):
                return None
            current["metadata"]["labels"] = {**labels, _SKIP_MIRROR: "true"}
            current["subsets"] = [{"addresses": wanted, "ports": used}]
            return current

        metadata = {"name": _NAME, "namespace": _NAMESPACE, "labels": {_SKIP_MIRROR: "true"}}
        subset = {"addresses": wanted, "ports": own}
        made = {"metadata": metadata, "subsets": [subset]}
        await ensure(self._registry, kind("endpoints"), made, repair)
        return used

    async def _ensure_slice(self, addresses: list[str], ports: list[Object]) -> None:
        """A slice has addresses of one family: the first one's, as upstream chooses."""
        version = ipaddress.ip_address(addresses[0]).version
        family = f"IPv{version}"
        same = [a for a in addresses if ipaddress.ip_address(a).version == version]
        endpoints = [{"addresses": [a], "conditions": {"ready": True}} for a in same]
        resource = kind("endpointslices", _SLICES)
        try:
            found = self._registry.get(resource, _NAME, _NAMESPACE)
            if found.get("addressType") != family:  # cannot be changed
                await self._registry.delete(resource, _NAMESPACE, _NAME)
        except NotFound:
            pass

        def repair(current: Object) -> Object | None:
            labels = current["metadata"].get("labels") or {}
            if (
                current.get("endpoints") == endpoints
                and current.get("ports") == ports
                and labels.get(_SERVICE_NAME) == _NAME
            ):
                return None
            current["metadata"]["labels"] = {**labels, _SERVICE_NAME: _NAME}
            current["endpoints"], current["ports"] = endpoints, ports
            return current

        metadata = {"name": _NAME, "namespace": _NAMESPACE, "labels": {_SERVICE_NAME: _NAME}}
        made = {
            "metadata": metadata,
            "addressType": family,
            "endpoints": endpoints,
            "ports": ports,
        }
        await ensure(self._registry, resource, made, repair)
