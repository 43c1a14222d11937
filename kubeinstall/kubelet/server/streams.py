"""exec, attach, port-forward and run."""

from __future__ import annotations

from aiohttp import web

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.kubelet.cri import ContainerStatus, CRIError
from kubeinstall.kubelet.cri.types import RUNNING
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.server.tunnel import tunnel

_TRUE = ("1", "true")


def _flag(request: web.BaseRequest, *names: str) -> bool:
    return any(request.query.get(name) in _TRUE for name in names)


async def open_stream(
    request: web.BaseRequest,
    manager: PodManager,
    kind: str,
    namespace: str,
    pod: str,
    uid: str,
    container: str,
) -> web.StreamResponse:
    """Ask the runtime for a streaming URL, and become the wire to it."""
    worker = manager.find(pod, namespace)
    if worker is None or (uid and worker.uid != uid):
        return web.Response(status=404, text="pod does not exist\n")
    try:
        if kind == "portForward":
            url = await _port_forward_url(request, manager, worker.uid)
        else:
            found = manager.parts.runtime.get(worker.uid).container(container)
            if found is None or found.state != RUNNING:
                return web.Response(status=404, text=f'container not found ("{container}")\n')
            url = await _container_url(request, manager, kind, found)
    except CRIError as error:
        return web.Response(status=500, text=f"{error}\n")
    except ValueError as error:
        return web.Response(status=400, text=f"{error}\n")
    idle = manager.parts.config.streaming_connection_idle_timeout
    try:
        await tunnel(request, url, idle)
    except OSError as error:
        return web.Response(status=500, text=f"error dialing the container runtime: {error}\n")
    return web.Response()


async def _container_url(
    request: web.BaseRequest, manager: PodManager, kind: str, found: ContainerStatus
) -> str:
    tty = _flag(request, "tty")
    streams = {
        "stdin": _flag(request, "input", "stdin"),
        "stdout": _flag(request, "output", "stdout"),
        "stderr": _flag(request, "error", "stderr") and not tty,
    }
    if not any(streams.values()):
        raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
    if kind == "exec":
        command = request.query.getall("command", [])
        answer = await manager.parts.cri.call(
            "Exec", api.ExecRequest(container_id=found.id, cmd=command, tty=tty, **streams)
        )
    else:
        answer = await manager.parts.cri.call(
            "Attach", api.AttachRequest(container_id=found.id, tty=tty, **streams)
        )
    return str(answer.url)


async def _port_forward_url(request: web.BaseRequest, manager: PodManager, uid: str) -> str:
    sandbox = next((s for s in manager.parts.runtime.get(uid).sandboxes if s.ready), None)
    if sandbox is None:
        raise ValueError("unable to do port forwarding: pod is not running")
    ports = [int(part) for text in request.query.getall("port", []) for part in text.split(",")]
    answer = await manager.parts.cri.call(
        "PortForward", api.PortForwardRequest(pod_sandbox_id=sandbox.id, port=ports)
    )
    return str(answer.url)


async def run_command(
    request: web.BaseRequest, manager: PodManager, namespace: str, pod: str, container: str
) -> web.StreamResponse:
    """`POST /run/…?cmd=…`: the command's output."""
    worker = manager.find(pod, namespace)
    if worker is None:
        return web.Response(status=404, text="pod does not exist\n")
    found = manager.parts.runtime.get(worker.uid).container(container)
    if found is None:
        return web.Response(status=404, text=f'container not found ("{container}")\n')
    command = request.query.get("cmd", "").split()
    code, out, err = await manager.parts.cri.exec_sync(found.id, command, 0)
    return web.Response(status=200 if code == 0 else 500, body=out + err)
