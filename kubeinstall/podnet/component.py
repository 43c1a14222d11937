"""kube-podnet: gives pods their network: CNI configuration, routes, masquerading, network policies."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import ClassVar

from prometheus_client import Counter, Gauge

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, Informer, InformerSet
from kubeinstall.podnet import slim
from kubeinstall.podnet.config import PodNetworkSettings
from kubeinstall.podnet.conflist import render_conflist, write_conflist
from kubeinstall.podnet.nat import TABLE, family_of, render_nat
from kubeinstall.podnet.policy.compile import Wanted, compile_policies
from kubeinstall.podnet.policy.model import Cluster, Pod, parse_pod
from kubeinstall.podnet.routes import Peer, RouteTable, uplink_mtu
from kubeinstall.podnet.sysctl import apply_settings
from kubeinstall.podnet.table import PodTable
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.nftables import Nftables, NftablesError, shared
from kubeinstall.runtime.settings import Settings

_TOGETHER = 0.02  # seconds: changes within it are applied as one
_RETRY = (1.0, 30.0)
_GUARD = 30.0  # seconds between looks whether the tables are still there
_VXLAN_OVERHEAD = 50


class PodNetwork(Component[PodNetworkSettings]):
    """Keeps this node's pod network as the API says. Identity: system:kube-podnet."""

    name = "kube-podnet"
    settings_type: ClassVar[type[Settings]] = PodNetworkSettings

    def __init__(
        self,
        settings: PodNetworkSettings,
        context: ComponentContext,
        nftables: Nftables | None = None,
        netns: str | None = None,
    ) -> None:
        super().__init__(settings, context)
        self._nftables = nftables or shared()
        self._netns = netns
        self._routes = RouteTable(settings.encapsulation, settings.vxlan_port, netns)
        self._tables: dict[str, PodTable] = {}
        self._wake = asyncio.Event()
        self._error = "the node has no pod CIDR yet"
        self._policies: Informer | None = None
        self._pods: Informer | None = None
        self._namespaces: Informer | None = None
        self._failures = Counter(
            "kubepodnet_sync_failures", "Syncs that failed.", registry=context.metrics
        )
        self._peers = Gauge("kubepodnet_peers", "Nodes with a route.", registry=context.metrics)

    async def run(self) -> None:
        """Sync until cancelled. What was set up stays: pods keep their network over a restart."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ApiClient.from_kubeconfig(self.settings.kubeconfig, user_agent="kube-podnet")
            )
            host, _, port = self.settings.health_bind_address.rpartition(":")
            await stack.enter_async_context(serve_endpoints(self.context, host, int(port)))
            self.context.health.add_check("sync", self._check, live=True)
            informers = InformerSet(client)
            nodes = informers.informer("v1/nodes", transform=slim.slim_node)
            nodes.add_handler(self._node_changed)
            if self.settings.network_policy:
                self._policies = informers.informer(
                    "networking.k8s.io/v1/networkpolicies", transform=slim.slim_policy
                )
                self._policies.add_handler(lambda _old, _new: self._wake.set())
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="podnet informers")
                await informers.wait_synced()
                group.create_task(self._guard(), name="podnet guard")
                await self._sync_loop(informers, nodes)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        """Heartbeats change a node all the time; only addresses and pod networks matter."""
        if (
            old is None
            or new is None
            or (old["spec"], old["status"]) != (new["spec"], new["status"])
        ):
            self._wake.set()

    async def _sync_loop(self, informers: InformerSet, nodes: Informer) -> None:
        pause = _RETRY[0]
        self._wake.set()
        while True:
            await self._wake.wait()
            await asyncio.sleep(_TOGETHER)
            self._wake.clear()
            try:
                await self._watch_pods(informers)
                await self._sync(nodes)
            # pyroute2's errors and the file system's, all worth another try.
            except (NftablesError, OSError, ValueError, _netlink_error()) as error:
                self._error = str(error) or type(error).__name__
                self._failures.inc()
                self.log.error("Not synced", error=self._error, retry_seconds=pause)
                self._wake.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY[1])
                continue
            pause = _RETRY[0]

    async def _watch_pods(self, informers: InformerSet) -> None:
        """Pods and namespaces are watched only once there is a policy: most clusters have none."""
        if self._pods is not None or self._policies is None or not len(self._policies):
            return
        self._pods = informers.informer("v1/pods", transform=slim.slim_pod)
        self._namespaces = informers.informer("v1/namespaces", transform=slim.slim_namespace)
        await self._pods.wait_synced()
        await self._namespaces.wait_synced()
        self._pods.add_handler(self._pod_changed)
        self._namespaces.add_handler(lambda _old, _new: self._wake.set())

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        before = parse_pod(old) if old else None
        after = parse_pod(new) if new else None
        if before != after:
            self._wake.set()

    async def _sync(self, nodes: Informer) -> None:
        node = nodes.get(self.settings.node)
        cidrs = pod_cidrs(node)
        if node is None or not cidrs:
            self._error = "the node has no pod CIDR yet"
            return
        addresses = internal_addresses(node)
        families = sorted({family_of(cidr) for cidr in cidrs})
        if self._netns is None:
            await asyncio.to_thread(apply_settings, "ip6" in families)
        peers = {family: self._find_peers(nodes, family) for family in families}
        # First of all: containerd starts no pod before this file is there.
        await self._write_conflist(cidrs, addresses)
        for family in families:
            nat = render_nat(family, cidrs, self.settings.cluster_cidr)
            await self._table(family).apply(nat, self._wanted(family))
        everyone = [peer for found in peers.values() for peer in found]
        own = addresses[0] if addresses else ""
        if own:
            changes = await asyncio.to_thread(self._routes.sync, own, cidrs, everyone)
            if changes:
                self.log.info("Routes changed", changes=changes, peers=len(everyone))
            await self._write_conflist(cidrs, addresses)
        self._peers.set(len(everyone))
        self._error = ""
        if not self.context.started.is_set():
            self.log.info("Pod network up", pod_cidrs=",".join(cidrs), peers=len(everyone))
            self.context.ready()

    def _find_peers(self, nodes: Informer, family: str) -> list[Peer]:
        found = []
        for node in nodes.list():
            name = node["metadata"]["name"]
            if name == self.settings.node:
                continue
            addresses = [a for a in internal_addresses(node) if family_of(a) == family]
            cidrs = [cidr for cidr in pod_cidrs(node) if family_of(cidr) == family]
            if addresses and cidrs:
                found.append(Peer(name, addresses[0], cidrs[0]))
        return found

    async def _write_conflist(self, cidrs: list[str], addresses: list[str]) -> None:
        """Pods started from now on get links that fit into the tunnel, where there is one."""
        mtu = self.settings.mtu
        tunnel = self._routes.tunnelling or self.settings.encapsulation == "always"
        if not mtu and addresses and tunnel:
            uplink = await asyncio.to_thread(uplink_mtu, addresses[0], self._netns)
            mtu = uplink - _VXLAN_OVERHEAD
        text = render_conflist(cidrs, self.settings.bridge, mtu)
        if await asyncio.to_thread(write_conflist, self.settings.cni_conf_dir, text):
            self.log.info("CNI configuration written", directory=str(self.settings.cni_conf_dir))

    def _wanted(self, family: str) -> Wanted:
        if self._policies is None or self._pods is None or self._namespaces is None:
            return compile_policies((), Cluster((), {}), self.settings.node, family)
        namespaces = {
            item["metadata"]["name"]: item["metadata"].get("labels") or {}
            for item in self._namespaces.list()
        }
        pods = [pod for item in self._pods.list() if (pod := parse_pod(item)) is not None]
        pods.append(dns_pod(self.settings.cluster_dns))
        policies = sorted(
            self._policies.list(),
            key=lambda p: (p["metadata"]["namespace"], p["metadata"]["name"]),
        )
        return compile_policies(policies, Cluster(pods, namespaces), self.settings.node, family)

    def _table(self, family: str) -> PodTable:
        if family not in self._tables:
            self._tables[family] = PodTable(self._nftables, family, self.settings.bridge)
        return self._tables[family]

    async def _guard(self) -> None:
        """Somebody may flush the ruleset: look now and then, and rebuild."""
        while True:
            await asyncio.sleep(_GUARD)
            try:
                found = await self._nftables.query("list tables")
            except NftablesError:
                continue
            present = {
                entry["table"]["family"]
                for entry in found
                if entry.get("table", {}).get("name") == TABLE
            }
            for family, table in self._tables.items():
                if family not in present and not table.doubtful:
                    self.log.warning("Table was removed by somebody; rebuilding", family=family)
                    table.doubtful = True
                    self._wake.set()

    def _check(self) -> None:
        if self._error:
            raise RuntimeError(self._error)


def pod_cidrs(node: Object | None) -> list[str]:
    """A node's pod networks, one a family."""
    spec = (node or {}).get("spec") or {}
    single = [spec["podCIDR"]] if spec.get("podCIDR") else []
    return list(spec.get("podCIDRs") or single)


def internal_addresses(node: Object) -> list[str]:
    """A node's InternalIP addresses in order."""
    addresses = (node.get("status") or {}).get("addresses") or []
    return [entry["address"] for entry in addresses if entry.get("type") == "InternalIP"]


def dns_pod(addresses: tuple[str, ...]) -> Pod:
    """The cluster DNS answers on every node and is no pod; policies written for one must find it."""
    ports = (("dns", "udp", 53), ("dns-tcp", "tcp", 53))
    return Pod("kube-system", "kube-dns", "", {"k8s-app": "kube-dns"}, addresses, ports)


def _netlink_error() -> type[Exception]:
    from pyroute2.netlink.exceptions import NetlinkError

    error: type[Exception] = NetlinkError
    return error
