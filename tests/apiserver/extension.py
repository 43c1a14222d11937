"""A real extension API server: HTTPS with delegated authentication, a resource, watch, OpenAPI, an upgrade."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from kubeinstall.pki.certificates import Subject, Usage, certificate_pem, issue
from kubeinstall.pki.ensure import load_authority
from kubeinstall.pki.keys import DEFAULT_ALGORITHM, key_pem
from tests.support.https_server import serve_https

GROUP, VERSION = "wardle.example.com", "v1alpha1"
BASE = f"/apis/{GROUP}/{VERSION}"
VERBS = ["create", "delete", "get", "list", "watch"]
_DEFINITION = "com.example.wardle.Flunder"
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"


def own_address() -> str:
    """An address of this machine that is not loopback, which endpoints may not name; "" without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks for a route
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if found.startswith("127.") else found


class ExtensionServer:
    """`asked` are the requests seen: method, path, headers, and the common name of the client's certificate."""

    def __init__(self, pki: Path) -> None:
        self.asked: list[tuple[str, str, list[tuple[str, str]], str]] = []
        self.flunders: dict[str, dict[str, Any]] = {}
        self.port = 0
        self.healthy = True
        self.changes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        issued = issue(
            load_authority(pki, "ca"),
            Subject("sample-api", sans=("sample-api.aggregator.svc",), usage=Usage.SERVER),
            DEFAULT_ALGORITHM,
            timedelta(days=1),
        )
        pair = pki / "sample-api.pem"
        pair.write_bytes(certificate_pem(issued.certificate) + key_pem(issued.key))
        pair.chmod(0o600)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(pair)
        self.tls.load_verify_locations(pki / "front-proxy-ca.crt")
        self.tls.verify_mode = ssl.CERT_REQUIRED

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        peer = request.get_extra_info("peercert") or {}
        names = dict(part[0] for part in peer.get("subject", ()))
        headers = list(request.headers.items())
        self.asked.append((request.method, request.path_qs, headers, names.get("commonName", "")))
        if not self.healthy:
            return web.Response(status=500, text="not well")
        if request.path == "/openapi/v2":
            return web.json_response(_swagger(), headers={"Etag": '"one"'})
        if request.path.startswith("/openapi/v3"):
            return web.json_response(_v3(request.path))
        if not request.path.startswith(BASE):
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        if request.headers.get("Upgrade") == "echo":
            return await _echo(request)
        return await self._resource(request)

    async def _resource(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.removeprefix(BASE).strip("/").split("/")
        if parts == [""]:
            return web.json_response(_resources())
        name = parts[3] if len(parts) > 3 else ""
        if request.method == "POST":
            body = json.loads(await request.read())
            self.flunders[body["metadata"]["name"]] = body
            return web.json_response(body, status=201)
        if request.method == "DELETE":
            self.flunders.pop(name, None)
            return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        if "watch" in request.query:
            return await self._watch(request)
        if name:
            return web.json_response(self.flunders[name])
        return web.json_response(
            {
                "kind": "FlunderList",
                "apiVersion": f"{GROUP}/{VERSION}",
                "metadata": {"resourceVersion": "1"},
                "items": list(self.flunders.values()),
            }
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                event = await self.changes.get()
                await answer.write(json.dumps(event).encode() + b"\n")
        return answer

    @contextlib.asynccontextmanager
    async def running(self, host: str) -> AsyncIterator[ExtensionServer]:
        """Serve on a free port."""
        async with serve_https(self._handle, host, self.tls) as self.port:
            yield self


async def _echo(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    assert transport is not None
    user = request.headers.get("X-Remote-User", "")
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
    assert isinstance(transport, asyncio.Transport)
    transport.write(f"{head}hello {user}\n".encode())
    await asyncio.sleep(0.1)
    transport.close()
    return web.Response()


def _resources() -> dict[str, Any]:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": "flunders",
                "singularName": "flunder",
                "namespaced": True,
                "kind": "Flunder",
                "verbs": VERBS,
            },
            {
                "name": "flunders/status",
                "singularName": "",
                "namespaced": True,
                "kind": "Flunder",
                "verbs": ["get"],
            },
        ],
    }


def _operation() -> dict[str, Any]:
    return {
        "get": {
            "operationId": "listFlunders",
            "produces": ["application/json"],
            "responses": {
                "200": {"description": "OK", "schema": {"$ref": f"#/definitions/{_DEFINITION}"}}
            },
        }
    }


def _swagger() -> dict[str, Any]:
    return {
        "swagger": "2.0",
        "info": {"title": "wardle", "version": "1"},
        "paths": {f"{BASE}/flunders": _operation(), "/version/": _operation()},
        "definitions": {
            _DEFINITION: {
                "type": "object",
                "properties": {"status": {"$ref": f"#/definitions/{_STATUS}"}},
                "x-kubernetes-group-version-kind": [
                    {"group": GROUP, "version": VERSION, "kind": "Flunder"}
                ],
            },
            # Of the same name as one of Kubernetes' own, and another thing.
            _STATUS: {"type": "object", "properties": {"odd": {"type": "string"}}},
        },
    }


def _v3(path: str) -> dict[str, Any]:
    if path == "/openapi/v3":
        url = f"/openapi/v3{BASE}?hash=X"
        return {"paths": {BASE.strip("/"): {"serverRelativeURL": url}}}
    return {"openapi": "3.0.0", "info": {"title": "wardle"}, "paths": {f"{BASE}/flunders": {}}}
