"""Answers load balancers that ask whether this node has endpoints of a service (healthCheckNodePort).

Upstream's `pkg/proxy/healthcheck/service_health.go`: 200 when the node has a ready endpoint, else 503, with
a small JSON body and the header `X-Load-Balancing-Endpoint-Weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web

from kubeinstall.runtime.logs import get_logger

log = get_logger("kube-proxy")


@dataclass(frozen=True, slots=True)
class Asked:
    """A service with a health check port, and its number of endpoints on this node."""

    port: int
    namespace: str
    name: str
    local: int


class HealthCheckServers:
    """One small HTTP server a service; `update` makes them match."""

    def __init__(self, healthy: Callable[[], bool]) -> None:
        self._healthy = healthy
        self._asked: dict[str, Asked] = {}
        self._runners: dict[str, tuple[int, web.ServerRunner]] = {}

    async def update(self, changes: Mapping[str, Asked | None]) -> None:
        """Apply changes by service key; None stops the server. A taken port is logged, not fatal."""
        for key, asked in changes.items():
            running = self._runners.get(key)
            if running and (asked is None or asked.port != running[0]):
                del self._runners[key]
                await running[1].cleanup()
            if asked is None:
                self._asked.pop(key, None)
                continue
            self._asked[key] = asked
            if key not in self._runners:
                await self._start(key, asked)

    async def close(self) -> None:
        """Stop all servers."""
        await self.update(dict.fromkeys(list(self._asked)))

    async def _start(self, key: str, asked: Asked) -> None:
        async def handle(_request: web.BaseRequest) -> web.Response:
            return self._answer(key)

        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        try:
            await web.TCPSite(runner, None, asked.port, reuse_address=True).start()
        except OSError as error:
            await runner.cleanup()
            log.error(
                "Health check port cannot be served", service=key, port=asked.port, error=str(error)
            )
            return
        self._runners[key] = (asked.port, runner)

    def _answer(self, key: str) -> web.Response:
        asked = self._asked[key]
        healthy = self._healthy()
        body = {
            "service": {"namespace": asked.namespace, "name": asked.name},
            "localEndpoints": asked.local,
            "serviceProxyHealthy": healthy,
        }
        return web.Response(
            status=200 if asked.local and healthy else 503,
            body=orjson.dumps(body),
            headers={
                "Content-Type": "application/json",
                "X-Content-Type-Options": "nosniff",
                "X-Load-Balancing-Endpoint-Weight": str(asked.local),
            },
        )
