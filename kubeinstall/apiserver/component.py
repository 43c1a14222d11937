"""The API server as a component: how its parts are put together, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar

from kubeinstall.apiserver import admission, authn, authz, bootstrap, hooks
from kubeinstall.apiserver.admission.policies.type_checking import TypeChecking
from kubeinstall.apiserver.aggregation import Aggregation, Availability, Registration
from kubeinstall.apiserver.aggregation.transport import Transport
from kubeinstall.apiserver.catalog import Catalog, fields_for
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.custom import CustomResources
from kubeinstall.apiserver.engine import Engine
from kubeinstall.apiserver.fairness import Conditions, Fairness
from kubeinstall.apiserver.http import HttpServer
from kubeinstall.apiserver.http.tls import server_context
from kubeinstall.apiserver.interfaces import Services
from kubeinstall.apiserver.local import LocalRegistry
from kubeinstall.apiserver.metrics import Metrics
from kubeinstall.apiserver.peers import Peers
from kubeinstall.apiserver.pipeline import Pipeline
from kubeinstall.apiserver.proxy.kubelets import Kubelets
from kubeinstall.apiserver.streams import Streams
from kubeinstall.apiserver.termination import Termination
from kubeinstall.errors import StoreError
from kubeinstall.runtime.component import Component, run_guarded
from kubeinstall.storage.cache import Cacher
from kubeinstall.storage.encryption import EncryptedStore, read_configuration
from kubeinstall.storage.open import open_store
from kubeinstall.storage.store import Store

#: What ending takes besides the delay and the requests under way, seconds.
_STOP_SECONDS = 15.0


class APIServer(Component[ApiServerSettings]):
    """kube-apiserver."""

    name = "kube-apiserver"
    settings_type: ClassVar[type[ApiServerSettings]] = ApiServerSettings
    #: Where it listens once it is ready; for tests that ask for port 0.
    port: int = 0

    @property
    def stop_seconds(self) -> float:
        """See `Component.stop_seconds`."""
        settings = self.settings
        patience = settings.shutdown_delay + settings.shutdown_watch_grace
        return patience + settings.request_timeout + _STOP_SECONDS

    async def run(self) -> None:
        """Serve until cancelled."""
        store = await self._open_store()
        try:
            await self._serve(store)
        finally:
            await store.close()

    async def _open_store(self) -> Store:
        path = self.settings.encryption_provider_config
        if path is None:
            return await open_store(self.settings.datastore_url)
        configuration = read_configuration(path)
        return EncryptedStore(await open_store(self.settings.datastore_url), configuration)

    async def _serve(self, store: Store) -> None:
        cacher = Cacher(store, fields_for)
        await cacher.start()
        async with asyncio.TaskGroup() as tasks, self._listening(store, cacher) as (core, peers):
            # The cache first: every consistent read waits for it.
            tasks.create_task(
                run_guarded(cacher.run(), "watch-cache", self.log), name="watch-cache"
            )
            tasks.create_task(core.streams.run(), name="bookmarks")
            await bootstrap.ensure(core.services)
            await peers.arrive()
            tasks.create_task(
                run_guarded(bootstrap.keep(core.services), "bootstrap", self.log), name="bootstrap"
            )
            definitions = CustomResources(core.engine.registry, core.catalog, self.log)
            tasks.create_task(
                run_guarded(definitions.run(), "custom-resources", self.log),
                name="custom-resources",
            )
            checking = TypeChecking(core.engine.registry, core.catalog, self.log)
            tasks.create_task(
                run_guarded(checking.run(), "policy-types", self.log), name="policy-types"
            )
            self._aggregate(tasks, core)
            conditions = Conditions(core.engine.registry, self.log)
            tasks.create_task(
                run_guarded(conditions.run(), "flow-control", self.log), name="flow-control"
            )
            self.context.ready()
            tasks.create_task(run_guarded(peers.run(), "peers", self.log), name="peers")
            self.log.info("Serving", port=self.port)
            await asyncio.Event().wait()

    def _aggregate(self, tasks: asyncio.TaskGroup, core: Core) -> None:
        registry, log = core.engine.registry, self.log
        availability = Availability(core.aggregation, registry, core.catalog, core.transport, log)
        tasks.create_task(
            run_guarded(availability.run(), "apiservice-availability", log),
            name="apiservice-availability",
        )
        registration = Registration(registry, log)
        tasks.create_task(
            run_guarded(registration.run(), "apiservice-registration", log),
            name="apiservice-registration",
        )

    @contextlib.asynccontextmanager
    async def _listening(self, store: Store, cacher: Cacher) -> AsyncIterator[tuple[Core, Peers]]:
        settings = self.settings
        core = self._build(store, cacher)
        termination = Termination(settings, self.context.health)
        pipeline = Pipeline(core, self.log)
        server = HttpServer(pipeline)
        tls = server_context(
            settings.tls_cert_file, settings.tls_private_key_file, settings.client_ca_file
        )
        self.port = await server.start(settings.bind_address, settings.secure_port, tls)
        peers = Peers(settings, core.services.registry, store, self.port, self.log)
        try:
            yield core, peers
        finally:
            served = self.context.started.is_set()
            await termination.run(
                server, pipeline, core.streams, peers.leave, self.log, served=served
            )
            await core.kubelets.close()
            await core.transport.close()
            await core.services.admission.close()

    def _build(self, store: Store, cacher: Cacher) -> Core:
        settings = self.settings
        catalog = Catalog()
        engine = Engine(catalog, store, cacher, int(settings.event_ttl))
        if isinstance(store, EncryptedStore):
            engine.is_stale = store.is_stale
        registry = LocalRegistry(engine)
        engine.registry = registry
        authorizer = authz.build(settings, registry)
        services = Services(
            settings,
            registry,
            authn.build(settings, registry),
            authorizer,
            admission.build(settings, registry, authorizer),
            hooks.build(settings, registry, store),
        )
        engine.admission, engine.hooks = services.admission, services.hooks
        metrics = Metrics(self.context.metrics)
        metrics.watch_cache(cacher)
        seats = settings.max_requests_inflight + settings.max_mutating_requests_inflight
        fairness = Fairness(registry, seats)
        metrics.watch_fairness(fairness)
        self._add_checks(store)
        return Core(
            settings,
            catalog,
            store,
            cacher,
            engine,
            services,
            metrics,
            Streams(),
            Kubelets(settings, registry),
            self.context.health,
            Aggregation(registry, catalog),
            Transport(settings, registry),
            fairness,
        )

    def _add_checks(self, store: Store) -> None:
        async def datastore() -> None:
            await store.current_revision()

        async def started() -> None:
            if not self.context.started.is_set():
                raise StoreError("the bootstrap objects are not there yet")

        health = self.context.health
        health.add_check("etcd", datastore, live=True)
        health.add_check("poststarthook/bootstrap", started)
