"""Lifecycle hooks: exec, httpGet, tcpSocket and sleep."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.pod import spec

_HTTP_SECONDS = 60.0


class HookFailed(KubeinstallError):
    """The hook did not succeed; the message is for the event."""


async def run_hook(
    cri: CRI, pod: Object, container: Object, container_id: str, handler: Object, pod_ip: str
) -> None:
    """Run one handler to its end; the caller bounds the time. Raises `HookFailed`."""
    if handler.get("exec"):
        await _exec(cri, container_id, handler["exec"].get("command") or [])
    elif handler.get("httpGet"):
        await _http(container, handler["httpGet"], pod_ip)
    elif handler.get("sleep"):
        await asyncio.sleep(float(handler["sleep"]["seconds"]))
    elif handler.get("tcpSocket"):
        # Upstream runs no tcpSocket hooks: it is an error there too.
        raise HookFailed(f"invalid handler: {spec.title(pod)}: tcpSocket is not supported")


async def _exec(cri: CRI, container_id: str, command: list[str]) -> None:
    try:
        code, out, err = await cri.exec_sync(container_id, command, 0)
    except CRIError as error:
        raise HookFailed(str(error)) from error
    if code != 0:
        shown = (out + err).decode(errors="replace")
        raise HookFailed(
            f"command '{' '.join(command)}' exited with {code}: {err.decode(errors='replace')}"
            + (f', message: "{shown}"' if shown else "")
        )


async def _http(container: Object, get: Object, pod_ip: str) -> None:
    scheme = str(get.get("scheme") or "HTTP").lower()
    try:
        port = spec.port_by_name(container, get.get("port"))
    except ValueError as error:
        raise HookFailed(str(error)) from error
    host = get.get("host") or pod_ip
    host = f"[{host}]" if ":" in host else host
    path = get.get("path") or "/"
    url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
    headers = {h["name"]: h["value"] for h in get.get("httpHeaders") or []}
    timeout = aiohttp.ClientTimeout(total=_HTTP_SECONDS)
    insecure = _unverified() if scheme == "https" else True
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers, ssl=insecure) as answer,
        ):
            await answer.read()
            if answer.status >= 400:
                raise HookFailed(f"HTTP lifecycle hook ({url}) failed: status {answer.status}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise HookFailed(f'Get "{url}": {error}') from error


def _unverified() -> ssl.SSLContext:
    """Hooks and probes do not verify, as upstream's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
