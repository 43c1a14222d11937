"""kube-servers: API servers come and go; the host's own balancer is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import ClassVar

from prometheus_client import Counter, Gauge

from kubeinstall.balancer import haproxy
from kubeinstall.balancer.config import BalancerSettings
from kubeinstall.balancer.servers import Servers, published
from kubeinstall.client import ApiClient, Informer
from kubeinstall.pki.files import write_atomic
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.settings import Settings

_SLICES = "discovery.k8s.io/v1/endpointslices"
_OF_KUBERNETES = "kubernetes.io/service-name=kubernetes"
_TOGETHER = 0.5  # seconds: changes within it are one reload
_RETRY = 5.0


class ServerList(Component[BalancerSettings]):
    """Watches the EndpointSlices of `default/kubernetes` and writes haproxy's file. Identity: the node's."""

    name = "kube-servers"
    settings_type: ClassVar[type[Settings]] = BalancerSettings

    def __init__(self, settings: BalancerSettings, context: ComponentContext) -> None:
        super().__init__(settings, context)
        self._wake = asyncio.Event()
        self._error = "API servers are not known yet"
        self._known = Gauge(
            "kubeservers_api_servers",
            "API servers that the balancer knows.",
            registry=context.metrics,
        )
        self._reloads = Counter(
            "kubeservers_reloads_total", "Changes of the list.", registry=context.metrics
        )

    async def run(self) -> None:
        """Follow until cancelled."""
        settings = self.settings
        text = settings.balancer_config.read_text() if settings.balancer_config.exists() else ""
        servers = Servers(haproxy.servers_in(text), settings.keep_seconds, time.monotonic())
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ApiClient.from_kubeconfig(settings.kubeconfig, user_agent=self.name)
            )
            host, _, port = settings.health_bind_address.rpartition(":")
            await stack.enter_async_context(serve_endpoints(self.context, host, int(port)))
            self.context.health.add_check("servers", self._check, live=False)
            slices = Informer(client, _SLICES, "default", label_selector=_OF_KUBERNETES)
            slices.add_handler(lambda _old, _new: self._wake.set())
            async with asyncio.TaskGroup() as group:
                group.create_task(slices.run(), name="server list informer")
                self.context.ready()  # the balancer works without us
                await slices.wait_synced()
                await self._follow(servers, slices)

    async def _follow(self, servers: Servers, slices: Informer) -> None:
        wait: float | None = 0.0
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
                await asyncio.sleep(_TOGETHER)
            except TimeoutError:
                pass  # one that disappeared may have to go now
            self._wake.clear()
            now = time.monotonic()
            wanted = servers.update(published(slices.list()), now)
            try:
                self._apply(wanted)
                self._error = ""
            except OSError as error:
                self._error = str(error)
                self.log.error("Not written", error=self._error, retry_seconds=_RETRY)
                wait = _RETRY
                continue
            wait = servers.next_look(now)

    def _apply(self, wanted: dict[str, str]) -> None:
        self._known.set(len(wanted))
        path = self.settings.balancer_config
        before = path.read_text() if path.exists() else ""
        text = haproxy.render(self.settings.bind_address, wanted)
        if not wanted or text == before:
            return
        write_atomic(path, text.encode(), 0o644)
        reloaded = haproxy.reload(path)
        self._reloads.inc()
        self.log.info(
            "API servers changed", servers=sorted(wanted.values()), balancer_runs=reloaded
        )

    def _check(self) -> None:
        if self._error:
            raise RuntimeError(self._error)
