"""kube-proxy: watches Services and EndpointSlices and keeps nftables in step."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

import orjson
from aiohttp import web
from prometheus_client import Counter, Gauge, Histogram

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, Informer, InformerSet, key_of
from kubeinstall.proxy.chains import IPV4, IPV6, Family, Masquerading
from kubeinstall.proxy.config import ProxySettings, split_address
from kubeinstall.proxy.conntrack import Conntrack
from kubeinstall.proxy.healthcheck import HealthCheckServers
from kubeinstall.proxy.plan import of_family
from kubeinstall.proxy.ruleset import TABLE
from kubeinstall.proxy.service import HEADLESS_LABEL, PROXY_NAME_LABEL, SERVICE_NAME_LABEL
from kubeinstall.proxy.slim import slim_node, slim_service, slim_slice
from kubeinstall.proxy.syncer import Known, Place, Syncer
from kubeinstall.proxy.table import Table
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.nftables import Nftables, NftablesError, shared
from kubeinstall.runtime.settings import Settings

_RETRY = (0.5, 30.0)  # seconds: first and longest pause after a failed sync


class Proxy(Component[ProxySettings]):
    """Programs services into nftables. Identity: system:kube-proxy."""

    name = "kube-proxy"
    settings_type: ClassVar[type[Settings]] = ProxySettings

    def __init__(
        self,
        settings: ProxySettings,
        context: ComponentContext,
        nftables: Nftables | None = None,
        conntrack: Conntrack | None = None,
    ) -> None:
        super().__init__(settings, context)
        self._nftables = nftables or shared()
        families = [IPV4, IPV6] if settings.ipv6 and Path("/proc/net/if_inet6").exists() else [IPV4]
        self._servers = HealthCheckServers(lambda: self._error == "")
        self._tables = {f.name: self._table(f) for f in families}
        self._syncer = Syncer(
            self._tables,
            {f.name: self._masquerading(f) for f in families},
            conntrack or Conntrack(),
            self._servers,
        )
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._error = "not synced yet"
        self._deleting = False
        self._updated = time.time()
        self._duration = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "Seconds of one sync of the rules.",
            registry=context.metrics,
            buckets=[0.001 * 2**i for i in range(15)],
        )
        self._failures = Counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures",
            "Syncs that nftables refused.",
            registry=context.metrics,
        )
        self._count = Gauge(
            "kubeproxy_sync_proxy_rules_services", "Services programmed.", registry=context.metrics
        )

    async def run(self) -> None:
        """Sync until cancelled. The tables stay when it ends: a restart must not cut connections."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ApiClient.from_kubeconfig(self.settings.kubeconfig, user_agent="kube-proxy")
            )
            stack.push_async_callback(self._servers.close)
            informers = InformerSet(client)
            services, slices, nodes = self._informers(informers)
            self.context.health.add_check("sync", self._check, live=True)
            await self._serve(stack)
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="proxy informers")
                await informers.wait_synced()
                group.create_task(self._sync(services, slices, nodes), name="proxy sync")
                group.create_task(self._guard(), name="proxy guard")

    def _informers(self, informers: InformerSet) -> tuple[Informer, Informer, Informer]:
        ours = f"!{HEADLESS_LABEL},!{PROXY_NAME_LABEL}"
        services = informers.informer("v1/services", label_selector=ours, transform=slim_service)
        slices = informers.informer(
            "discovery.k8s.io/v1/endpointslices",
            label_selector=ours,
            indexers={"service": _service_keys},
            transform=slim_slice,
        )
        nodes = informers.informer(
            "v1/nodes", field_selector=f"metadata.name={self.settings.node}", transform=slim_node
        )
        services.add_handler(lambda old, new: self._mark([key_of(new or old or {})]))
        slices.add_handler(
            lambda old, new: self._mark([k for o in (old, new) if o for k in _service_keys(o)])
        )
        nodes.add_handler(lambda old, new: self._node_changed(old, new, services))
        return services, slices, nodes

    async def _sync(self, services: Informer, slices: Informer, nodes: Informer) -> None:
        pause = _RETRY[0]
        # All at once the first time: services that went away while nobody watched leave the table.
        self._wake.set()
        while True:
            await self._wake.wait()
            await asyncio.sleep(self.settings.min_sync_period)
            self._wake.clear()
            keys, self._dirty = self._dirty, set()
            known = {
                key: Known(services.get_key(key), slices.by_index("service", key)) for key in keys
            }
            started = time.perf_counter()
            try:
                await self._syncer.sync(known, self._place(nodes))
            except NftablesError as error:
                self._error = str(error)
                self._failures.inc()
                self.log.error("Rules not synced", error=str(error), retry_seconds=pause)
                self._dirty |= keys
                self._wake.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY[1])
                continue
            pause = _RETRY[0]
            self._error = ""
            self._updated = time.time()
            self._duration.observe(time.perf_counter() - started)
            self._count.set(self._syncer.services)
            if not self.context.started.is_set():
                self.log.info("Rules synced", services=self._syncer.services)
                self.context.ready()

    async def _guard(self) -> None:
        """Somebody may flush the ruleset: look now and then, and rebuild."""
        while True:
            await asyncio.sleep(self.settings.sync_period)
            try:
                found = await self._nftables.query("list tables")
            except NftablesError:
                continue
            present = {
                entry["table"]["family"]
                for entry in found
                if entry.get("table", {}).get("name") == TABLE
            }
            if not present >= set(self._tables):
                self.log.warning("Tables were removed by somebody; rebuilding")
                self._syncer.doubt()
                self._wake.set()

    def _mark(self, keys: list[str]) -> None:
        self._dirty.update(keys)
        self._wake.set()

    def _node_changed(self, old: Object | None, new: Object | None, services: Informer) -> None:
        meta = (new or {}).get("metadata", {})
        self._deleting = new is None or bool(meta.get("deletionTimestamp")) or _tainted(new)
        if old is not None and new is not None and _zone(old) != _zone(new):
            self._mark(list(services.keys()))

    def _place(self, nodes: Informer) -> Place:
        node = nodes.get(self.settings.node)
        return Place(self.settings.node, _zone(node) if node else "")

    def _table(self, family: Family) -> Table:
        addresses = tuple(of_family(self.settings.node_port_addresses, family))
        return Table(self._nftables, family, addresses)

    def _masquerading(self, family: Family) -> Masquerading:
        networks = of_family(self.settings.cluster_cidr, family)
        return Masquerading(networks[0] if networks else "", self.settings.masquerade_all)

    def _check(self) -> None:
        if self._error:
            raise RuntimeError(self._error)

    async def _serve(self, stack: AsyncExitStack) -> None:
        host, port = split_address(self.settings.metrics_bind_address)
        await stack.enter_async_context(serve_endpoints(self.context, host, port))
        host, port = split_address(self.settings.healthz_bind_address)
        if port < 0:
            return
        runner = web.ServerRunner(web.Server(self._healthz, access_log=None))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port, reuse_address=True).start()

    async def _healthz(self, request: web.BaseRequest) -> web.Response:
        """Upstream's: /healthz also says no while the node is being deleted, /livez does not."""
        if request.path not in ("/healthz", "/livez"):
            return web.Response(status=404, text="404 page not found\n")
        healthy = not self._error
        eligible = healthy and not (self._deleting and request.path == "/healthz")
        moment = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(self._updated))
        now = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime())
        body = {"lastUpdated": moment, "currentTime": now, "nodeEligible": not self._deleting}
        return web.Response(
            status=200 if eligible else 503,
            body=orjson.dumps(body),
            headers={"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"},
        )


def _service_keys(piece: Object) -> list[str]:
    metadata = piece["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return [f"{metadata['namespace']}/{name}"] if name else []


def _zone(node: Object) -> str:
    return str((node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", ""))


def _tainted(node: Object | None) -> bool:
    taints = ((node or {}).get("spec") or {}).get("taints") or []
    return any(taint.get("key") == "ToBeDeletedByClusterAutoscaler" for taint in taints)
