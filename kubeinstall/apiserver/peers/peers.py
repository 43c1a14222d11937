"""This API server among the others: it says that it lives, keeps the endpoints, and says goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.peers.address import advertised_address
from kubeinstall.apiserver.peers.endpoints import EndpointReconciler
from kubeinstall.apiserver.peers.identity import COLLECT_SECONDS, RENEW_SECONDS, IdentityLease
from kubeinstall.apiserver.peers.leases import MasterLeases
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import KubeinstallError, StoreError
from kubeinstall.storage.store import Store

#: Upstream's interval.
_RECONCILE_SECONDS = 10.0
#: After a failure of the datastore sooner, so that one lost request does not cost a living server its place.
_RETRY_SECONDS = 2.0
#: Saying goodbye may not keep a server from ending.
_LEAVE_SECONDS = 5.0


class Peers:
    """The tasks of a server that concern the other servers."""

    def __init__(
        self,
        settings: ApiServerSettings,
        registry: Registry,
        store: Store,
        port: int,
        log: FilteringBoundLogger,
    ) -> None:
        """`port` is where this server really listens."""
        self._log = log
        self._leaving = False
        self._identity = IdentityLease(registry)
        self._endpoints: EndpointReconciler | None = None
        if settings.endpoint_reconciler_type == "lease":
            address = advertised_address(settings)
            self._endpoints = EndpointReconciler(registry, MasterLeases(store), address, port)

    async def arrive(self) -> None:
        """Before the server is ready: what it said in a former life is void."""
        await self._identity.forget()
        if self._endpoints is not None and await self._endpoints.forget():
            self._log.warning("This server did not end in order: its endpoint was still there")

    async def run(self) -> None:
        """Once the server is ready: keep everything until cancelled."""
        jobs: list[tuple[str, Callable[[], Awaitable[None]], float]] = [
            ("identity lease not renewed", self._identity.renew, RENEW_SECONDS),
            ("identity leases not collected", self._identity.collect, COLLECT_SECONDS),
        ]
        if self._endpoints is not None:
            reconcile = self._endpoints.reconcile
            jobs.append(("kubernetes endpoints not kept", reconcile, _RECONCILE_SECONDS))
        async with asyncio.TaskGroup() as tasks:
            for problem, work, seconds in jobs:
                tasks.create_task(self._every(seconds, work, problem))

    async def leave(self) -> None:
        """The server ends: take it out of the endpoints, if that can be done in time."""
        self._leaving = True
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                if self._endpoints is not None:
                    await self._endpoints.stop()
                await self._identity.forget()
        except (KubeinstallError, TimeoutError) as error:
            # The datastore forgets the lease by itself, and another server then the endpoint.
            self._log.warning("Endpoint not removed", error=str(error) or "timed out")

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], why: str) -> None:
        while not self._leaving:
            pause = seconds
            try:
                await work()
            except KubeinstallError as error:
                self._log.warning(why, error=str(error))
                if isinstance(error, StoreError):
                    pause = min(seconds, _RETRY_SECONDS)
            await asyncio.sleep(pause)
