"""Single tries of probes against real servers on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from aiohttp import web

from kubeinstall.kubelet.probes.handlers import Outcome, try_probe

HOST = "127.0.0.1"


@pytest.fixture
async def http() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/ok":
                agent = request.headers["User-Agent"]
                return web.Response(
                    text=f"{agent} {request.headers.get('X-A', '')} {request.host.split(':')[0]}"
                )
            case "/bad":
                return web.Response(status=500)
            case "/here":
                raise web.HTTPFound("/ok")
            case "/away":
                raise web.HTTPFound("http://other.example/")
            case "/loop":
                raise web.HTTPFound("/loop")
        await asyncio.sleep(5)
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def attempt(
    probe: dict[str, Any], container: dict[str, Any] | None = None
) -> tuple[Outcome, str]:
    return await try_probe(None, container or {}, "id", probe, HOST)  # type: ignore[arg-type]  # no runtime needed


async def test_http(http: int) -> None:
    headers = [{"name": "X-A", "value": "v"}, {"name": "Host", "value": "name.example"}]
    found = await attempt({"httpGet": {"port": http, "path": "/ok", "httpHeaders": headers}})
    assert found == (Outcome.SUCCESS, "kube-probe/1.36 v name.example")
    named = {"ports": [{"name": "web", "containerPort": http}]}
    assert (await attempt({"httpGet": {"port": "web", "path": "ok"}}, named))[0] is Outcome.SUCCESS
    assert await attempt({"httpGet": {"port": http, "path": "/bad"}}) == (
        Outcome.FAILURE,
        "HTTP probe failed with statuscode: 500",
    )


async def test_http_redirects(http: int) -> None:
    assert (await attempt({"httpGet": {"port": http, "path": "/here"}}))[0] is Outcome.SUCCESS
    assert (await attempt({"httpGet": {"port": http, "path": "/away"}}))[0] is Outcome.WARNING
    outcome, text = await attempt({"httpGet": {"port": http, "path": "/loop"}})
    assert outcome is Outcome.FAILURE
    assert text.endswith("stopped after 10 redirects")


async def test_http_without_an_answer(http: int) -> None:
    outcome, text = await attempt({"httpGet": {"port": http, "path": "/slow"}, "timeoutSeconds": 1})
    assert outcome is Outcome.FAILURE
    assert "context deadline exceeded" in text
    closed = free_port()
    assert await attempt({"httpGet": {"port": closed, "path": "/"}}) == (
        Outcome.FAILURE,
        f'Get "http://127.0.0.1:{closed}/": dial tcp 127.0.0.1:{closed}: connect: connection refused',
    )


async def test_tcp(http: int) -> None:
    assert await attempt({"tcpSocket": {"port": http}}) == (Outcome.SUCCESS, "")
    closed = free_port()
    assert await attempt({"tcpSocket": {"port": closed}}) == (
        Outcome.FAILURE,
        f"dial tcp 127.0.0.1:{closed}: connect: connection refused",
    )
    assert (await attempt({"tcpSocket": {"port": "none"}}))[0] is Outcome.UNKNOWN


class _Health(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Serving, but for the service "ill"."""

    def service(self, details: Any) -> Any:
        async def check(request: bytes, _context: Any) -> bytes:
            return b"\x08\x02" if b"ill" in request else b"\x08\x01"

        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(check)
        return None


async def test_grpc(http: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Health(),))
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    try:
        assert (await attempt({"grpc": {"port": port}}))[0] is Outcome.SUCCESS
        assert (await attempt({"grpc": {"port": port, "service": "ill"}}))[0] is Outcome.FAILURE
    finally:
        await server.stop(None)
    assert (await attempt({"grpc": {"port": free_port()}}))[0] is Outcome.FAILURE
