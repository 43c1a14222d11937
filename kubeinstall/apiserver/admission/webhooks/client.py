"""HTTPS to webhooks: by URL, or by service through its ready endpoints."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import socket
import ssl
from collections import OrderedDict
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import KubeinstallError, NotFound

_CONNECTIONS = 256  # at most, to all webhooks together
_KEEP_SECONDS = 10.0
_CONTEXTS = 256  # TLS contexts kept, one a CA bundle
_ANSWER_LIMIT = 8 << 20  # bytes of an answer; an object with its patch is far smaller


class CallFailed(KubeinstallError):
    """A webhook could not be asked; the text says why, without the webhook's name."""


class Target(NamedTuple):
    """Where a webhook is, and how it proves to be it."""

    url: str
    bundle: str


def target_of(config: Object) -> Target:
    """Of a `clientConfig`."""
    bundle = config.get("caBundle") or ""
    service = config.get("service")
    if service is None:
        return Target(config.get("url") or "", bundle)
    path = "/" + (service.get("path") or "").lstrip("/")
    host = f"{service.get('name')}.{service.get('namespace')}.svc"
    return Target(f"https://{host}:{service.get('port') or 443}{path}", bundle)


class ServiceResolver(AbstractResolver):
    """`name.namespace.svc` to the address and target port of a ready endpoint."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._other = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        labels = host.split(".")
        if len(labels) != 3 or labels[2] != "svc":
            return await self._other.resolve(host, port, family)
        address, number = resolve_service(self._registry, labels[1], labels[0], port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=number,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        await self._other.close()


def resolve_service(registry: Registry, namespace: str, name: str, port: int) -> tuple[str, int]:
    """A ready endpoint of a service's port; the cluster IP where no slice is. Raises `CallFailed`."""
    try:
        service = registry.get(kind("services"), name, namespace)
    except NotFound as error:
        raise CallFailed(f'service "{name}" not found') from error
    spec = service.get("spec") or {}
    ports = [one for one in spec.get("ports") or [] if one.get("port") == port]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName")), port
    if not ports:
        raise CallFailed(f'no service port {port} found for service "{name}"')
    slices = registry.list(_SLICES, namespace, f"kubernetes.io/service-name={name}")
    found = [place for one in slices for place in _places(one, ports[0].get("name") or "")]
    if found:
        return random.choice(found)  # noqa: S311 - spreads load, no secret
    address = spec.get("clusterIP")
    if slices or not address or address == "None":
        raise CallFailed(f'no endpoints available for service "{name}"')
    return str(address), port


def _places(one: Object, port_name: str) -> list[tuple[str, int]]:
    numbers = [
        port["port"]
        for port in one.get("ports") or []
        if port.get("port") and (port.get("name") or "") == port_name
    ]
    return [
        (address, numbers[0])
        for endpoint in one.get("endpoints") or []
        if numbers and (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or []
    ]


_SLICES = kind("endpointslices", "discovery.k8s.io")


class WebhookClient:
    """Posts reviews. Connections are kept for a while; `close` when the server stops."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()

    async def post(self, target: Target, data: bytes, seconds: int) -> bytes:
        """Ask; the answer's body. Raises `CallFailed` with upstream's words."""
        url = f"{target.url}?timeout={seconds}s"
        try:
            async with (
                asyncio.timeout(seconds),
                self._open().post(
                    url,
                    data=data,
                    headers={"Content-Type": "application/json", "Accept": "application/json, */*"},
                    ssl=self._context(target.bundle),
                    allow_redirects=False,
                ) as response,
            ):
                answer = await response.content.read(_ANSWER_LIMIT + 1)
                while len(answer) <= _ANSWER_LIMIT and not response.content.at_eof():
                    answer += await response.content.read(_ANSWER_LIMIT + 1 - len(answer))
        except TimeoutError as error:
            raise CallFailed(f'Post "{url}": context deadline exceeded') from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallFailed(f'Post "{url}": {_certificate_problem(error)}') from error
        except (aiohttp.ClientError, OSError, CallFailed) as error:
            raise CallFailed(f'Post "{url}": {_dial_problem(error)}') from error
        except ValueError as error:
            raise CallFailed(f"could not get REST client: {error}") from error
        if len(answer) > _ANSWER_LIMIT:
            raise CallFailed(f'Post "{url}": the answer is too large')
        if not 200 <= response.status < 300:
            raise CallFailed(_status_problem(response.status, answer))
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS,
                    keepalive_timeout=_KEEP_SECONDS,
                    use_dns_cache=False,
                    resolver=ServiceResolver(self._registry),
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": "kube-apiserver-admission"},
            )
        return self._session

    def _context(self, bundle: str) -> ssl.SSLContext:
        key = hashlib.sha256(bundle.encode()).digest()
        context = self._contexts.get(key)
        if context is not None:
            self._contexts.move_to_end(key)
            return context
        if bundle:
            pem = base64.b64decode(bundle).decode()
            context = ssl.create_default_context(cadata=pem)
        else:
            context = ssl.create_default_context()
        self._contexts[key] = context
        if len(self._contexts) > _CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    text = str(error.certificate_error)
    if "Hostname mismatch" in text or "not valid for" in text or "IP address mismatch" in text:
        return f"tls: failed to verify certificate: x509: {text}"
    return "tls: failed to verify certificate: x509: certificate signed by unknown authority"


def _dial_problem(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        reason = os.strerror(number).lower() if number else str(error.os_error)
        return f"dial tcp {error.host}:{error.port}: connect: {reason}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(error) or type(error).__name__


def _status_problem(status: int, answer: bytes) -> str:
    text = answer[:2048].decode("utf-8", "replace").strip()
    if status == 404:
        return "the server could not find the requested resource"
    if status >= 500:
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return f"the server rejected our request for an unknown reason ({status}): {text}"
