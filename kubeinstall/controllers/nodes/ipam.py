"""Gives each node a pod CIDR of its own out of the cluster's."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.config import ControllerManagerSettings
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.nodes.lifecycle import NODES
from kubeinstall.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Upstream's bound on the bits between the cluster's and a node's prefix.
MAX_SUBNET_BITS = 16


class CidrSet:
    """The node CIDRs of one cluster CIDR: which are taken, and the next free one."""

    def __init__(self, cluster: Network, prefix: int) -> None:
        if prefix < cluster.prefixlen or prefix - cluster.prefixlen > MAX_SUBNET_BITS:
            raise SettingsError(
                f"node-cidr-mask-size: /{prefix} does not fit {cluster}: must be longer than the"
                f" cluster's prefix by at most {MAX_SUBNET_BITS}"
            )
        self.cluster = cluster
        self.prefix = prefix
        self._size = 1 << (cluster.max_prefixlen - prefix)
        self._count = 1 << (prefix - cluster.prefixlen)
        self._used: set[int] = set()
        self._next = 0

    def occupy(self, network: Network) -> None:
        """Mark everything that overlaps `network` as taken."""
        self._used.update(self._indexes(network))

    def release(self, network: Network) -> None:
        """Mark it as free again."""
        self._used.difference_update(self._indexes(network))

    def allocate(self) -> Network | None:
        """The next free CIDR, going round so that addresses are not soon used again; None when full."""
        for step in range(self._count):
            index = (self._next + step) % self._count
            if index not in self._used:
                self._used.add(index)
                self._next = (index + 1) % self._count
                start = int(self.cluster.network_address) + index * self._size
                return ipaddress.ip_network((start, self.prefix))
        return None

    def _indexes(self, network: Network) -> range:
        if network.version != self.cluster.version:
            return range(0)
        base = int(self.cluster.network_address)
        first = (int(network.network_address) - base) // self._size
        last = (int(network.broadcast_address) - base) // self._size
        return range(max(0, first), min(self._count - 1, last) + 1)


def cidr_sets(settings: ControllerManagerSettings) -> list[CidrSet]:
    """One set a cluster CIDR, without the parts that are the Services'."""
    clusters = [_network(text, "cluster-cidr") for text in settings.cluster_cidr]
    sets = [CidrSet(cluster, _prefix(settings, cluster)) for cluster in clusters]
    for text in settings.service_cluster_ip_range:
        service = _network(text, "service-cluster-ip-range")
        for found in sets:
            if found.cluster.version == service.version and found.cluster.overlaps(service):
                found.occupy(service)
    return sets


def _network(text: str, flag: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from error


def _prefix(settings: ControllerManagerSettings, cluster: Network) -> int:
    if settings.node_cidr_mask_size and len(settings.cluster_cidr) == 1:
        return settings.node_cidr_mask_size
    if cluster.version == 4:
        return settings.node_cidr_mask_size_ipv4
    return settings.node_cidr_mask_size_ipv6


class NodeIpamController(QueueController):
    """Keys are names of nodes. Works only with `--allocate-node-cidrs`."""

    name: ClassVar[str] = "node-ipam-controller"
    component: ClassVar[str] = "cidrAllocator"
    #: One: two workers could not both be given the last CIDR, but need not try.
    workers = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._sets = cidr_sets(self.settings) if self.settings.allocate_node_cidrs else []
        if not self._sets:
            return
        self._nodes = self.informer(NODES)
        self._nodes.add_handler(self._node_changed)

    async def run(self) -> None:
        """Allocate until cancelled."""
        if self._sets:
            await super().run()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None:
            for network in _cidrs(new):
                self._mark(network, free=False)
        if new is None and old is not None:
            for network in _cidrs(old):
                self._mark(network, free=True)
        elif new is not None and not _cidrs(new) and not owners.deleting(new):
            self.queue.add(new["metadata"]["name"])

    def _mark(self, network: Network, *, free: bool) -> None:
        for found in self._sets:
            if found.cluster.version == network.version and found.cluster.overlaps(network):
                if free:
                    found.release(network)
                else:
                    found.occupy(network)

    async def reconcile(self, key: str) -> float | None:
        """Give one node its CIDRs."""
        node = self._nodes.get(key)
        if node is None or _cidrs(node) or owners.deleting(node):
            return None
        taken = [found.allocate() for found in self._sets]
        given = [network for network in taken if network is not None]
        if len(given) < len(self._sets):
            for network in given:
                self._mark(network, free=True)
            text = f"Node {key} status is now: CIDRNotAvailable"
            self.events.event(node, "Normal", "CIDRNotAvailable", text)
            return 60.0
        texts = [str(network) for network in given]
        try:
            # Guarded by the version: a CIDR once set can never be changed.
            patch = {
                "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
                "spec": {"podCIDR": texts[0], "podCIDRs": texts},
            }
            await self.client.patch(NODES, key, patch)
        except BaseException:
            for network in given:
                self._mark(network, free=True)
            raise
        return None


def _cidrs(node: Object) -> list[Network]:
    spec = node.get("spec") or {}
    texts = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return [ipaddress.ip_network(text, strict=False) for text in texts]
