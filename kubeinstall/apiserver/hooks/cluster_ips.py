"""Cluster IPs: which are free, and who holds them.

As upstream's allocator does, each address in use has an IPAddress object named after it. Creating
that object is what takes the address: the store lets only one create succeed, so several API
servers cannot give out the same one, and a crash leaves at worst an IPAddress without a service,
which `ip_repair` removes.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, Conflict, KubeinstallError, NotFound

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
GROUP = "networking.k8s.io"
MANAGED_BY = "ipallocator.k8s.io"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
_RANDOM_TRIES = 16
#: A network larger than this is never searched whole; random tries find a free address in it.
_MAX_SEARCH = 1 << 16


class AllocationError(KubeinstallError):
    """Why an address or port could not be had, in upstream's words."""


class ClusterIPs:
    """Gives out cluster IPs from the ranges of the ServiceCIDR objects."""

    def __init__(self, registry: Registry, configured: tuple[str, ...]) -> None:
        self._registry = registry
        self._configured = tuple(ipaddress.ip_network(cidr) for cidr in configured)
        self._ranges: dict[str, tuple[Network, ...]] = {}
        self._taken: set[str] = set()
        self._random = random.SystemRandom()
        registry.observe(kind("servicecidrs", GROUP), self._range_changed)
        registry.observe(kind("ipaddresses", GROUP), self._address_changed)

    @property
    def families(self) -> tuple[str, ...]:
        """The families that the cluster has, the default first."""
        return tuple(dict.fromkeys(f"IPv{network.version}" for network in self._configured))

    async def allocate(self, service: Object, family: str, dry_run: bool) -> str:
        """Take a free address. Raises `AllocationError` when there is none."""
        for address in self._candidates(family):
            if address in self._taken:
                continue
            if dry_run or await self.take(service, address):
                return address
        raise AllocationError("range is full")

    async def claim(self, service: Object, text: str, dry_run: bool) -> None:
        """Take this address. Raises `AllocationError`."""
        address = ipaddress.ip_address(text)
        networks = self._networks()
        network = next((n for n in networks if address in n), None)
        if network is None:
            if dry_run:  # upstream then asks any one allocator instead of the right one
                raise _not_in_range(text, networks[0])
            raise AllocationError("the provided network does not match the current range")
        if _is_edge(address, network):
            raise _not_in_range(text, network)
        held = str(address) in self._taken
        if held or (not dry_run and not await self.take(service, str(address))):
            raise AllocationError("provided IP is already allocated")

    async def release(self, service: Object, text: str) -> None:
        """Give an address back, if it is this service's."""
        resource = kind("ipaddresses", GROUP)
        try:
            holder = self._registry.get(resource, text)
            if not is_parent(holder, service):
                return
            await self._registry.delete(resource, "", text)
        except (NotFound, Conflict):
            return

    def in_range(self, text: str) -> bool:
        """Whether the address belongs to a range as services may have it."""
        address = ipaddress.ip_address(text)
        network = next((n for n in self._networks() if address in n), None)
        return network is not None and not _is_edge(address, network)

    async def take(self, service: Object, address: str) -> bool:
        """Make the IPAddress object; False when the address is taken.

        `_taken` is left to what the watch cache tells, which has seen the write by then: an address that was given
        back a moment later would else count as taken for ever.
        """
        metadata = service["metadata"]
        version = ipaddress.ip_address(address).version
        resource = kind("ipaddresses", GROUP)
        holder: Object = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": address,
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": f"IPv{version}",
                    MANAGED_BY_LABEL: MANAGED_BY,
                },
            },
            "spec": {
                "parentRef": {
                    "resource": "services",
                    "namespace": metadata.get("namespace", ""),
                    "name": metadata["name"],
                }
            },
        }
        try:
            await self._registry.create(resource, holder)
        except AlreadyExists:
            return False
        return True

    def _networks(self) -> tuple[Network, ...]:
        found = tuple(network for networks in self._ranges.values() for network in networks)
        return found or self._configured

    def _candidates(self, family: str) -> Iterator[str]:
        """Random addresses of the upper band, then every address: upstream keeps the lower band
        for addresses that people choose."""
        for network in self._networks():
            if f"IPv{network.version}" != family:
                continue
            last = network.num_addresses - (2 if network.version == 4 else 1)
            if last < 1:
                continue
            band = min(max(16, network.num_addresses // 16), 256)
            low = band if last > band else 1
            for _ in range(_RANDOM_TRIES):
                yield str(network[self._random.randint(low, last)])
            top = min(last, low + _MAX_SEARCH)
            yield from (str(network[offset]) for offset in range(low, top + 1))
            yield from (str(network[offset]) for offset in range(1, low))

    def _range_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        self._ranges.pop(name, None)
        if new is not None and not new["metadata"].get("deletionTimestamp") and _ready(new):
            cidrs = (new.get("spec") or {}).get("cidrs") or ()
            self._ranges[name] = tuple(ipaddress.ip_network(cidr) for cidr in cidrs)

    def _address_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._taken.discard(name)
        else:
            self._taken.add(name)


def _not_in_range(text: str, network: Network) -> AllocationError:
    return AllocationError(
        f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {network}"
    )


def _is_edge(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: Network) -> bool:
    """The network's own address, and IPv4's broadcast: nobody's."""
    return address == network.network_address or (
        address.version == 4 and address == network.broadcast_address
    )


def _ready(service_cidr: Object) -> bool:
    conditions = (service_cidr.get("status") or {}).get("conditions") or ()
    return all(c.get("status") != "False" for c in conditions if c.get("type") == "Ready")


def is_parent(holder: Object, service: Object) -> bool:
    """Whether an IPAddress says that it is this service's."""
    parent = (holder.get("spec") or {}).get("parentRef") or {}
    metadata = service["metadata"]
    return bool(
        parent.get("resource") == "services"
        and parent.get("namespace") == metadata.get("namespace")
        and parent.get("name") == metadata["name"]
    )
