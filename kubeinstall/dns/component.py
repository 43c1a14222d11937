"""kube-dns: answers names of the cluster on every node, from local copies of services and endpoints."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, Informer, InformerSet, split_key
from kubeinstall.dns import slim
from kubeinstall.dns.address import add_addresses, remove_addresses
from kubeinstall.dns.answer import Authority
from kubeinstall.dns.cache import AnswerCache
from kubeinstall.dns.config import DnsSettings
from kubeinstall.dns.forward import Forwarder
from kubeinstall.dns.handler import Handler, Metrics
from kubeinstall.dns.resolvers import Resolvers
from kubeinstall.dns.server import DnsServer
from kubeinstall.dns.zone import Zone, parse_service
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.settings import Settings

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_TOGETHER = 0.01  # seconds: changes within it are taken over as one


class ClusterDNS(Component[DnsSettings]):
    """Serves the cluster's zone and forwards the rest. Identity: system:kube-dns."""

    name = "kube-dns"
    settings_type: ClassVar[type[Settings]] = DnsSettings

    def __init__(
        self, settings: DnsSettings, context: ComponentContext, forward_port: int = 53
    ) -> None:
        super().__init__(settings, context)
        self._zone = Zone(settings.cluster_domain)
        self._forwarder = Forwarder(
            Resolvers(settings.resolv_conf, settings.addresses), forward_port
        )
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._synced = False
        #: The port in use, once serving (the settings may say 0, any).
        self.port = 0

    async def run(self) -> None:
        """Serve until cancelled; the address is taken from the interface again at the end."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ApiClient.from_kubeconfig(self.settings.kubeconfig, user_agent="kube-dns")
            )
            stack.callback(self._forwarder.close)
            host, _, port = self.settings.metrics_bind_address.rpartition(":")
            await stack.enter_async_context(serve_endpoints(self.context, host, int(port)))
            self.context.health.add_check("zone", self._check, live=False)
            informers = InformerSet(client)
            services, slices = self._informers(informers)
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="dns informers")
                await informers.wait_synced()
                # Nothing is answered before everything is known: "no such name" would be remembered.
                self._take_over(services, slices)
                await self._listen(stack)
                self._synced = True
                self.log.info("Answering", zone=self._zone.domain, services=len(self._zone))
                self.context.ready()
                await self._follow(services, slices)

    def _informers(self, informers: InformerSet) -> tuple[Informer, Informer]:
        services = informers.informer("v1/services", transform=slim.slim_service)
        slices = informers.informer(
            "discovery.k8s.io/v1/endpointslices",
            indexers={"service": _service_keys},
            transform=slim.slim_slice,
        )
        namespaces = informers.informer("v1/namespaces", transform=slim.slim_namespace)
        services.add_handler(lambda old, new: self._mark(_keys(old) + _keys(new)))
        slices.add_handler(
            lambda old, new: self._mark([k for o in (old, new) if o for k in _service_keys(o)])
        )
        namespaces.add_handler(self._namespace)
        return services, slices

    async def _listen(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        if settings.interface:
            # Removed even if it was there already: an earlier life of ours that was killed left it.
            await asyncio.to_thread(add_addresses, settings.addresses, settings.interface)
            # In a thread both times: pyroute2 brings an event loop of its own.
            stack.push_async_callback(
                asyncio.to_thread, remove_addresses, settings.addresses, settings.interface
            )
        handler = Handler(
            Authority(self._zone, settings.addresses, settings.ttl),
            self._forwarder,
            AnswerCache(settings.cache_size),
            Metrics(self.context.metrics),
        )
        server = DnsServer(handler.handle)
        for address in settings.addresses:
            self.port = await server.listen(stack, address, settings.port)

    async def _follow(self, services: Informer, slices: Informer) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_TOGETHER)
            self._wake.clear()
            self._take_over(services, slices)

    def _take_over(self, services: Informer, slices: Informer) -> None:
        keys, self._dirty = self._dirty, set()
        for key in keys:
            namespace, name = split_key(key)
            service = services.get_key(key)
            parsed = parse_service(service, slices.by_index("service", key)) if service else None
            self._zone.set_service(namespace, name, parsed)

    def _mark(self, keys: list[str]) -> None:
        self._dirty.update(keys)
        self._wake.set()

    def _namespace(self, old: Object | None, new: Object | None) -> None:
        if (old is None) != (new is None):
            obj = new or old or {}
            self._zone.set_namespace(obj["metadata"]["name"], new is not None)

    def _check(self) -> None:
        if not self._synced:
            raise RuntimeError("services are not known yet")


def _keys(service: Object | None) -> list[str]:
    if service is None:
        return []
    return [f"{service['metadata']['namespace']}/{service['metadata']['name']}"]


def _service_keys(piece: Object) -> list[str]:
    metadata = piece["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return [f"{metadata['namespace']}/{name}"] if name else []
