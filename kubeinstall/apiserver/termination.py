"""How an API server ends, so that no client notices: upstream's graceful termination.

    SIGTERM → /readyz fails, the server leaves the `kubernetes` endpoints; everything is served as before
    half of --shutdown-delay-duration → each answer ends its connection: clients go elsewhere by themselves
    --shutdown-delay-duration → no new connections (or 429 for them), watches end
    requests under way are finished, for --request-timeout at the most → connections close

Load balancers need the delay to see `/readyz`; it should be longer than the time between their checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.http import HttpServer
from kubeinstall.apiserver.pipeline import Pipeline
from kubeinstall.apiserver.streams import Streams
from kubeinstall.errors import StoreError
from kubeinstall.runtime.health import Health

#: Handlers of ended watches need a moment; what still runs then are streams that nobody waits for
#: (exec, attach, portforward, followed logs), as upstream does not.
_LAST_SECONDS = 1.0


class Termination:
    """The end of one server."""

    def __init__(self, settings: ApiServerSettings, health: Health) -> None:
        self._settings = settings
        self._begun = False
        # There from the start, as upstream's: who watches `?verbose` sees it turn.
        health.add_check("shutdown", self._check)

    def _check(self) -> None:
        if self._begun:
            raise StoreError("the server is shutting down")

    async def run(
        self,
        server: HttpServer,
        pipeline: Pipeline,
        streams: Streams,
        leave: Callable[[], Awaitable[None]],
        log: FilteringBoundLogger,
        *,
        served: bool,
    ) -> None:
        """Carry it out; returns when nothing is served any more. `leave` takes the server out of the endpoints;
        one that never was ready (not `served`) is expected by nobody and does not wait."""
        settings = self._settings
        delay = settings.shutdown_delay if served else 0.0
        self._begun = True
        log.info("Stopping", delay=delay, requests=pipeline.under_way)
        leaving = asyncio.ensure_future(leave())
        await asyncio.sleep(delay / 2)
        server.last_requests = True
        await asyncio.sleep(delay / 2)
        await leaving
        if settings.shutdown_send_retry_after:
            pipeline.refusing = True
        else:
            server.close()
        await streams.end_all(settings.shutdown_watch_grace)
        if not await pipeline.drained(settings.request_timeout):
            log.warning("Requests cut off", requests=pipeline.under_way)
        await server.stop(_LAST_SECONDS)
        log.info("Stopped serving")
