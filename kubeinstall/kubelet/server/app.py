"""The HTTPS server on 10250: authenticate, authorize, then answer."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from kubeinstall.api.types import Object
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.server.auth import Authenticator, Authorizer
from kubeinstall.kubelet.server.logs import container_logs
from kubeinstall.kubelet.server.metrics import (
    cadvisor_metrics,
    kubelet_metrics,
    probe_metrics,
    resource_metrics,
)
from kubeinstall.kubelet.server.streams import open_stream, run_command
from kubeinstall.kubelet.server.usage import summary
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

_TEXT = "text/plain; version=0.0.4"
_LOGS = Path("/var/log")

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """Answers requests about the pods of `manager`."""

    def __init__(
        self,
        manager: PodManager,
        authenticator: Authenticator,
        authorizer: Authorizer,
        *,
        configz: Object,
        registry: CollectorRegistry,
        debugging: bool,
    ) -> None:
        self._manager = manager
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._configz = configz
        self._registry = registry
        self._debugging = debugging

    @asynccontextmanager
    async def serve(self, address: str, port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
        """Listen; yields the bound port."""
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True),
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, address, port, ssl_context=tls, reuse_address=True)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        user = await self._authenticator.user(request)
        if user is None:
            return web.Response(status=401, text="Unauthorized")
        allowed, why = await self._authorizer.allowed(user, request.method, request.path)
        if not allowed:
            return web.Response(status=403, text=why)
        words = request.path.strip("/").split("/")
        simple = self._simple(request.path.rstrip("/"))
        if simple is not None:
            return await simple(request)
        if words[0] == "logs" and self._debugging:
            return _host_log("/".join(words[1:]))
        if self._debugging:
            found = await self._pod_path(request, words)
            if found is not None:
                return found
        return web.Response(status=404, text="404 page not found\n")

    async def _pod_path(
        self, request: web.BaseRequest, words: list[str]
    ) -> web.StreamResponse | None:
        match words:
            case ["containerLogs", namespace, pod, container]:
                return await container_logs(request, self._manager, namespace, pod, container)
            case [("exec" | "attach") as kind, namespace, pod, container]:
                return await open_stream(
                    request, self._manager, kind, namespace, pod, "", container
                )
            case [("exec" | "attach") as kind, namespace, pod, uid, container]:
                return await open_stream(
                    request, self._manager, kind, namespace, pod, uid, container
                )
            case ["portForward", namespace, pod]:
                return await open_stream(
                    request, self._manager, "portForward", namespace, pod, "", ""
                )
            case ["portForward", namespace, pod, uid]:
                return await open_stream(
                    request, self._manager, "portForward", namespace, pod, uid, ""
                )
            case ["run", namespace, pod, container]:
                return await run_command(request, self._manager, namespace, pod, container)
            case ["run", namespace, pod, _, container]:
                return await run_command(request, self._manager, namespace, pod, container)
        return None

    def _simple(self, path: str) -> Answer | None:
        routes: dict[str, Answer] = {
            "/healthz": self._healthz,
            "/healthz/ping": self._healthz,
            "/pods": self._pods,
            "/runningpods": self._running_pods,
            "/configz": self._show_config,
            "/stats/summary": self._summary,
            "/metrics": self._metrics,
            "/metrics/resource": self._resource,
            "/metrics/cadvisor": self._cadvisor,
            "/metrics/probes": self._probes,
        }
        return routes.get(path)

    async def _healthz(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok")

    async def _pods(self, _request: web.BaseRequest) -> web.StreamResponse:
        status = self._manager.parts.status
        items = [{**pod, "status": status.get(pod)} for pod in self._manager.pods()]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _running_pods(self, _request: web.BaseRequest) -> web.StreamResponse:
        runtime = self._manager.parts.runtime
        items = []
        for uid in runtime.uids():
            found = runtime.get(uid)
            running = [
                {"name": c.name, "image": c.image_ref, "resources": {}} for c in found.running()
            ]
            if running:
                meta = {"name": found.name, "namespace": found.namespace, "uid": uid}
                items.append({"metadata": meta, "spec": {"containers": running}, "status": {}})
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _show_config(self, _request: web.BaseRequest) -> web.StreamResponse:
        return _json({"kubeletconfig": self._configz})

    async def _summary(self, _request: web.BaseRequest) -> web.StreamResponse:
        return _json(await summary(self._manager))

    async def _metrics(self, _request: web.BaseRequest) -> web.StreamResponse:
        body = generate_latest(self._registry) + kubelet_metrics(self._manager).encode()
        return web.Response(body=body, headers={"Content-Type": _TEXT})

    async def _resource(self, _request: web.BaseRequest) -> web.StreamResponse:
        text = await resource_metrics(self._manager)
        return web.Response(body=text.encode(), headers={"Content-Type": _TEXT})

    async def _cadvisor(self, _request: web.BaseRequest) -> web.StreamResponse:
        text = await cadvisor_metrics(self._manager)
        return web.Response(body=text.encode(), headers={"Content-Type": _TEXT})

    async def _probes(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            body=probe_metrics(self._manager).encode(), headers={"Content-Type": _TEXT}
        )


def _json(document: Object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def _host_log(relative: str) -> web.StreamResponse:
    """A file or a listing below /var/log."""
    path = (_LOGS / relative).resolve()
    if not path.is_relative_to(_LOGS.resolve()) or not path.exists():
        return web.Response(status=404, text="404 page not found\n")
    if path.is_dir():
        names = sorted(f"{p.name}/" if p.is_dir() else p.name for p in path.iterdir())
        rows = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
        return web.Response(text=f"<pre>\n{rows}</pre>\n", content_type="text/html")
    return web.FileResponse(path)
