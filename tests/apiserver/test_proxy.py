"""What is handed on to kubelets, pods and services."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from kubeinstall.pki.certificates import Subject, Usage, certificate_pem, issue
from kubeinstall.pki.ensure import load_authority
from kubeinstall.pki.keys import DEFAULT_ALGORITHM, key_pem
from tests.apiserver.conftest import Http
from tests.support.apiserver import RunningServer

POD = {
    "metadata": {"name": "p"},
    "spec": {"nodeName": "stub", "containers": [{"name": "c", "image": "i"}]},
}


class Stub:
    """A kubelet's streaming end: says what it was asked, and echoes what it is sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.peers: list[str] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.paths.append(head.split(" ", 2)[1])
        certificate = writer.get_extra_info("peercert")
        if certificate:
            self.peers.append(dict(part[0] for part in certificate["subject"])["commonName"])
        try:
            await self._answer(head, reader, writer)
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = self.paths[-1]
        if path.startswith("/containerLogs/"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(3):
                line = b"line %d\n" % number
                writer.write(b"%x\r\n%b\r\n" % (len(line), line))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        elif path.startswith("/exec/") and "command=no" in path:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nno upgrad")
        elif "upgrade" in head.lower():
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n")
            writer.write(b"Connection: Upgrade\r\n\r\nhello")
            while data := await reader.read(65536):
                writer.write(data.upper())
                await writer.drain()
        else:
            body = f"you asked {path}".encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()


@asynccontextmanager
async def stub_kubelet(directory: Path) -> AsyncIterator[Stub]:
    issued = issue(
        load_authority(directory / "pki", "ca"),
        Subject("system:node:stub", sans=("127.0.0.1",), usage=Usage.SERVER),
        DEFAULT_ALGORITHM,
        timedelta(days=1),
    )
    pair = directory / "kubelet-serving.pem"
    pair.write_bytes(certificate_pem(issued.certificate) + key_pem(issued.key))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(directory / "pki/ca.crt"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(pair)
    stub = Stub()
    server = await asyncio.start_server(stub.handle, "127.0.0.1", 0, ssl=tls)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()


@pytest.fixture
async def kubelet(http: Http, api_server: RunningServer) -> AsyncIterator[Stub]:
    async with stub_kubelet(api_server.directory) as stub:
        await http("DELETE", "/api/v1/nodes/stub")
        node = {
            "metadata": {"name": "stub"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": stub.port}},
            },
        }
        assert (await http("POST", "/api/v1/nodes", node)).status == 201
        await http(
            "POST", "/api/v1/namespaces/NS/serviceaccounts", {"metadata": {"name": "default"}}
        )
        assert (await http("POST", "/api/v1/namespaces/NS/pods", POD)).status == 201
        yield stub


async def test_logs_are_streamed(http: Http, kubelet: Stub) -> None:
    answer = await http("GET", "/api/v1/namespaces/NS/pods/p/log?follow=1&tailLines=3")
    assert (answer.status, answer.body) == (200, "line 0\nline 1\nline 2\n")
    assert kubelet.paths == [f"/containerLogs/{http.namespace}/p/c?follow=true&tailLines=3"]
    assert kubelet.peers == ["kube-apiserver-kubelet-client"]


async def _upgrade(http: Http, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", http.server.port, ssl=http.server.tls()
    )
    target = path.replace("NS", http.namespace)
    writer.write(
        f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n".encode()
    )
    return reader, writer


async def test_exec_is_a_tunnel(http: Http, kubelet: Stub) -> None:
    reader, writer = await _upgrade(
        http, "/api/v1/namespaces/NS/pods/p/exec?command=sh&command=-c&stdin=1&stdout=true&tty=0"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert b"SPDY/3.1" in head
    assert await reader.readexactly(5) == b"hello"
    sent = b"abc" * 500_000  # more than any buffer on the way
    writer.write(sent)
    assert await reader.readexactly(len(sent)) == sent.upper()
    writer.close()
    await writer.wait_closed()
    assert kubelet.paths == [f"/exec/{http.namespace}/p/c?input=1&output=1&command=sh&command=-c"]


async def test_a_refused_upgrade_is_passed_on(http: Http, kubelet: Stub) -> None:
    reader, writer = await _upgrade(http, "/api/v1/namespaces/NS/pods/p/exec?command=no&stdout=1")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert await reader.readexactly(9) == b"no upgrad"
    writer.close()
    await writer.wait_closed()


async def test_a_stream_needs_an_upgrade(http: Http, kubelet: Stub) -> None:
    answer = await http("POST", "/api/v1/namespaces/NS/pods/p/attach?stdout=1")
    assert (answer.status, answer.body["message"]) == (400, "Upgrade request required")


async def test_nodes_are_proxied_to_their_kubelet(http: Http, kubelet: Stub) -> None:
    answer = await http("GET", "/api/v1/nodes/stub/proxy/healthz?a=%2Fb")
    assert answer.body == "you asked /healthz?a=%2Fb"


async def test_pods_are_proxied_by_address(http: Http, kubelet: Stub) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path == "/go":
            raise web.HTTPFound("/elsewhere")
        text = f"{request.method} {request.raw_path} {await request.text()}"
        return web.Response(text=text, headers={"X-Mine": "1"})

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
    merge = {"Content_Type": "application/merge-patch+json"}
    await http("PATCH", "/api/v1/namespaces/NS/pods/p/status", status, **merge)
    base = f"/api/v1/namespaces/NS/pods/p:{port}/proxy"
    answer = await http("PUT", f"{base}/a%20b?x=1", "data", Content_Type="text/plain")
    assert answer.body == "PUT /a%20b?x=1 data"
    assert answer.headers["X-Mine"] == "1"
    async with http.session.get(http.url(f"{base}/go"), allow_redirects=False) as moved:
        assert moved.status == 302
        assert moved.headers["Location"] == f"{base}/elsewhere".replace("NS", http.namespace)
    async with http.session.get(http.url(base), allow_redirects=False) as moved:
        assert (moved.status, moved.headers["Location"]) == (
            301,
            f"{base}/".replace("NS", http.namespace),
        )
    await runner.cleanup()


async def test_a_service_without_endpoints_is_unavailable(http: Http, kubelet: Stub) -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "web", "port": 80}]}}
    assert (await http("POST", "/api/v1/namespaces/NS/services", service)).status == 201
    answer = await http("GET", "/api/v1/namespaces/NS/services/s:web/proxy/")
    assert (answer.status, answer.body["message"]) == (
        503,
        'no endpoints available for service "s:web"',
    )


async def test_a_lost_client_ends_the_backend(http: Http, kubelet: Stub) -> None:
    reader, writer = await _upgrade(http, "/api/v1/namespaces/NS/pods/p/attach?stdin=1")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    async with aiohttp.ClientSession() as _:
        await asyncio.sleep(0.2)
    assert len(kubelet.paths) == 1
