"""healthCheckNodePort: what a load balancer is told."""

from __future__ import annotations

import socket

import aiohttp

from kubeinstall.proxy.healthcheck import Asked, HealthCheckServers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ask(port: int) -> tuple[int, dict[str, object], str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz") as answer,
    ):
        weight = answer.headers["X-Load-Balancing-Endpoint-Weight"]
        return answer.status, await answer.json(), weight


async def test_follows_the_endpoints_and_stops() -> None:
    servers = HealthCheckServers(lambda: True)
    port = free_port()
    try:
        await servers.update({"d/s": Asked(port, "d", "s", 2)})
        status, body, weight = await ask(port)
        assert (status, weight) == (200, "2")
        assert body == {
            "service": {"namespace": "d", "name": "s"},
            "localEndpoints": 2,
            "serviceProxyHealthy": True,
        }
        await servers.update({"d/s": Asked(port, "d", "s", 0)})
        assert (await ask(port))[0] == 503
        await servers.update({"d/s": None})
        try:
            await ask(port)
        except aiohttp.ClientConnectorError:
            return
        raise AssertionError("still served")
    finally:
        await servers.close()
