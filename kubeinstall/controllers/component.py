"""kube-controller-manager: runs the enabled controllers over one set of shared informers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from kubeinstall.client import (
    ApiClient,
    ClientConfig,
    EventRecorder,
    InformerSet,
    LeaderElector,
    kubeconfig,
)
from kubeinstall.client.leader import host_identity
from kubeinstall.client.metrics import QueueMetrics, leader_status
from kubeinstall.client.transport import Transport
from kubeinstall.controllers import registry
from kubeinstall.controllers.config import ControllerManagerSettings
from kubeinstall.controllers.controller import Controller, ControllerContext
from kubeinstall.controllers.identities import Identities
from kubeinstall.errors import SettingsError
from kubeinstall.runtime.component import Component, run_guarded
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.settings import Settings


class ControllerManager(Component[ControllerManagerSettings]):
    """The component. Ready once it contends for leadership: a standby is as ready as the leader."""

    name: ClassVar[str] = "kube-controller-manager"
    settings_type: ClassVar[type[Settings]] = ControllerManagerSettings

    async def run(self) -> None:
        """Lead, run the controllers, and let go of the lease when cancelled."""
        entries = registry.enabled(self.settings.controllers)
        read = partial(kubeconfig.load, self.settings.kubeconfig)
        config = read()
        health = serve_endpoints(
            self.context,
            self.settings.bind_address,
            self.settings.secure_port or -1,
            tls=_server_tls(self.settings),
        )
        # The lease has a connection of its own, as upstream's: work in hand must not keep it from being renewed.
        agent = f"{self.name}/leader-election"
        leases = ApiClient(config, agent, Transport(config, agent, read))
        async with health, leases:
            if not self.settings.leader_elect:
                self.context.ready()
                await self._work(entries, config, read, None)
                return
            elector = self._elector(leases)
            self.context.health.add_check("leaderElection", elector.check, live=True)
            leader_status(self.context.metrics, self.name, elector.leading)
            self.context.ready()
            await elector.run(partial(self._work, entries, config, read, elector.fence))

    def _elector(self, leases: ApiClient) -> LeaderElector:
        settings = self.settings
        return LeaderElector(
            leases,
            settings.leader_elect_resource_name,
            host_identity(),
            settings.leader_elect_resource_namespace,
            lease_duration=settings.leader_elect_lease_duration,
            renew_deadline=settings.leader_elect_renew_deadline,
            retry_period=settings.leader_elect_retry_period,
            events=EventRecorder(leases, self.name),
        )

    async def _work(
        self,
        entries: list[registry.Entry],
        config: ClientConfig,
        read: Callable[[], ClientConfig],
        fence: Callable[[], None] | None,
    ) -> None:
        root = ApiClient(config, self.name, Transport(config, self.name, read, fence))
        accounts = config if self.settings.use_service_account_credentials else None
        async with root, Identities(root, accounts, fence) as identities:
            await self._run_controllers(root, identities, entries)

    async def _run_controllers(
        self, root: ApiClient, identities: Identities, entries: list[registry.Entry]
    ) -> None:
        informers = InformerSet(root)
        metrics = QueueMetrics(self.context.metrics)
        recorders: list[EventRecorder] = []
        controllers: list[Controller] = []
        for entry in entries:
            kind = entry.load()
            events = EventRecorder(root, kind.component or kind.name)
            recorders.append(events)
            client = identities.client(entry.account)
            context = ControllerContext(client, informers, events, self.settings, metrics)
            controllers.append(kind(context))
        self.context.health.add_check("informer-sync", partial(_require_synced, informers))
        try:
            # Informers first: a controller waits for them. The group ends them all together, and
            # controllers hold nothing that must be put away in order.
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="informers")
                for recorder in recorders:
                    group.create_task(recorder.run(), name="events")
                for controller in controllers:
                    group.create_task(
                        run_guarded(controller.run(), controller.name, self.log),
                        name=controller.name,
                    )
                self.log.info("controllers started", count=len(controllers))
        finally:
            self.context.health.remove_check("informer-sync")


def _server_tls(settings: ControllerManagerSettings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_private_key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"tls-cert-file: cannot use {settings.tls_cert_file}: {error}"
        ) from error
    return context


def _require_synced(informers: InformerSet) -> None:
    if not informers.synced():
        raise RuntimeError("informers are still taking in their first lists")
