"""One try of a probe: exec, httpGet, tcpSocket, grpc; results and words as upstream's probers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc.aio
from yarl import URL

from kubeinstall.api.types import Object
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.pod import spec

USER_AGENT = "kube-probe/1.36"
BODY_LIMIT = 10 * 1024
_REDIRECTS = 10


class Outcome(Enum):
    """How a try ended. WARNING counts as success; UNKNOWN is no verdict."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


Result = tuple[Outcome, str]


async def try_probe(
    cri: CRI, container: Object, container_id: str, probe: Object, pod_ip: str
) -> Result:
    """Run the probe's handler once."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    try:
        if probe.get("exec"):
            return await _exec(cri, container_id, probe["exec"].get("command") or [], timeout)
        if probe.get("httpGet"):
            return await _http(container, probe["httpGet"], pod_ip, timeout)
        if probe.get("tcpSocket"):
            handler = probe["tcpSocket"]
            port = spec.port_by_name(container, handler.get("port"))
            return await _tcp(handler.get("host") or pod_ip, port, timeout)
        if probe.get("grpc"):
            handler = probe["grpc"]
            service = handler.get("service") or ""
            return await _grpc(pod_ip, int(handler["port"]), service, timeout)
    except ValueError as error:
        return Outcome.UNKNOWN, str(error)
    return Outcome.UNKNOWN, "missing probe handler"


async def _exec(cri: CRI, container_id: str, command: list[str], timeout: float) -> Result:
    try:
        code, out, err = await cri.exec_sync(container_id, command, timeout)
    except CRIError as error:
        if error.code == "DEADLINE_EXCEEDED" or "timeout" in error.message:
            return (
                Outcome.FAILURE,
                f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s',
            )
        return Outcome.UNKNOWN, str(error)
    text = (out + err)[:BODY_LIMIT].decode(errors="replace")
    return (Outcome.SUCCESS if code == 0 else Outcome.FAILURE), text


async def _tcp(host: str, port: int, timeout: float) -> Result:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return Outcome.FAILURE, _dial_error(host, port, error)
    return Outcome.SUCCESS, ""


def _dial_error(host: str, port: int, error: Exception) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(error, TimeoutError):
        return f"dial tcp {where}: i/o timeout"
    number = getattr(error, "errno", None)
    words = {111: "connect: connection refused", 113: "connect: no route to host"}
    return f"dial tcp {where}: {words.get(number or 0, f'connect: {error}')}"


async def _http(container: Object, handler: Object, pod_ip: str, timeout: float) -> Result:
    scheme = str(handler.get("scheme") or "HTTP").lower()
    host = handler.get("host") or pod_ip
    port = spec.port_by_name(container, handler.get("port"))
    path = str(handler.get("path") or "/")
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}{path if path.startswith('/') else '/' + path}"
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in handler.get("httpHeaders") or []:
        headers[header["name"]] = header.get("value") or ""
    if headers.get("Accept") == "":
        headers.pop("Accept")
    try:
        async with asyncio.timeout(timeout):
            return await _follow(url, host, headers)
    except TimeoutError:
        return (
            Outcome.FAILURE,
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        )
    except aiohttp.ClientConnectorError as error:
        return Outcome.FAILURE, f'Get "{url}": {_dial_error(host, port, error.os_error)}'
    except (aiohttp.ClientError, OSError) as error:
        return Outcome.FAILURE, f'Get "{url}": {error or "EOF"}'


async def _follow(url: str, host: str, headers: dict[str, str]) -> Result:
    """GET, following redirects on the same host; elsewhere they count as success with a warning."""
    connector = aiohttp.TCPConnector(ssl=_unverified(), force_close=True, limit=1)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        for _ in range(_REDIRECTS + 1):
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                body = (await answer.content.read(BODY_LIMIT)).decode(errors="replace")
                target = answer.headers.get("Location")
                if answer.status in (301, 302, 303, 307, 308) and target:
                    following = str(answer.url.join(URL(target)))
                    if urlsplit(following).hostname != host:
                        return (
                            Outcome.WARNING,
                            f"Probe terminated redirects, Response body: {body}",
                        )
                    url = following
                    continue
                if 200 <= answer.status < 400:
                    return Outcome.SUCCESS, body
                return Outcome.FAILURE, f"HTTP probe failed with statuscode: {answer.status}"
    return Outcome.FAILURE, f'Get "{url}": stopped after 10 redirects'


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    """Probes do not verify certificates, as upstream's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _grpc(host: str, port: int, service: str, timeout: float) -> Result:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    name = service.encode()
    # grpc.health.v1.HealthCheckRequest{service = 1}; the answer's status is field 1: 1 is SERVING.
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    options = (("grpc.primary_user_agent", USER_AGENT),)
    async with grpc.aio.insecure_channel(where, options=options) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = await check(request, timeout=timeout, wait_for_ready=False)
        except grpc.aio.AioRpcError as error:
            return _grpc_error(error, host, port, timeout)
    status = answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0
    if status == 1:
        return Outcome.SUCCESS, "service healthy"
    return Outcome.FAILURE, 'service unhealthy (responded with "NOT_SERVING")'


def _grpc_error(error: Any, host: str, port: int, timeout: float) -> Result:
    where = f"{host}:{port}"
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return Outcome.FAILURE, (
                "error: this server does not implement the grpc health protocol "
                f"(grpc.health.v1.Health): {error.details()}"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Outcome.FAILURE, f"timeout: health rpc did not complete within {timeout:g}s"
        case grpc.StatusCode.UNAVAILABLE:
            return (
                Outcome.FAILURE,
                f'timeout: failed to connect service "{where}" within {timeout:g}s: {error.details()}',
            )
    return Outcome.FAILURE, f"error: health rpc probe failed: {error.details()}"


def resolve(host: str) -> str:
    """The first address of a host name, for messages."""
    return socket.gethostbyname(host)
