"""HTTP to nodes, pods and services through `…/proxy/PATH`."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from kubeinstall.api.types import Object
from kubeinstall.apiserver import wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.handlers.get import wait_for
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.proxy.kubelets import builtin
from kubeinstall.apiserver.proxy.tunnel import Backend, tunnel, wants_upgrade
from kubeinstall.apiserver.request import CONNECT, AdmissionAttributes
from kubeinstall.errors import BadRequest, NotFound, ServiceUnavailable

_SLICES = builtin("discovery.k8s.io", "v1", "endpointslices")
_HOP_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None


async def proxy_node(core: Core, call: Call) -> None:
    """nodes/NAME[:PORT]/proxy."""
    scheme, name, port = split_name(call.info.name, call.served.resource.name)
    kubelet = core.kubelets.find(name)
    if not port or port == str(kubelet.port):
        place = _Place("https", kubelet.host, kubelet.port, core.kubelets.tls)
    else:
        place = _place(scheme, kubelet.host, _number(port))
    await _forward(core, call, place)


async def proxy_pod(core: Core, call: Call) -> None:
    """pods/[SCHEME:]NAME[:PORT]/proxy."""
    scheme, name, port = split_name(call.info.name, call.served.resource.name)
    pod = await _object(core, call, name)
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise BadRequest("address not allowed")
    number = _number(port) if port else _first_port(pod)
    await _forward(core, call, _place(scheme, address, number))


async def proxy_service(core: Core, call: Call) -> None:
    """services/[SCHEME:]NAME[:PORT]/proxy."""
    scheme, name, port = split_name(call.info.name, call.served.resource.name)
    service = await _object(core, call, name)
    wanted = _port_name(service, port)
    choices = [
        (address, number)
        for address, number in _endpoints(core, call.info.namespace, name, wanted, port)
    ]
    if not choices:
        raise ServiceUnavailable(f'no endpoints available for service "{call.info.name}"')
    address, number = random.choice(choices)  # noqa: S311 - spreads load, no secret
    await _forward(core, call, _place(scheme, address, number))


def split_name(identifier: str, plural: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` → scheme ("" or "https"), name, port. Raises `BadRequest`."""
    parts = identifier.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return parts[0], parts[1], parts[2]
    raise BadRequest(f'invalid {plural.removesuffix("s")} request "{identifier}"')


def _number(port: str) -> int:
    if not port.isdecimal():
        raise BadRequest(f'invalid port "{port}"')
    return int(port)


def _first_port(pod: Object) -> int:
    for container in (pod.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            return int(port["containerPort"])
    return 80


def _port_name(service: Object, port: str) -> str:
    """A service port's name, also where its number was given."""
    ports = (service.get("spec") or {}).get("ports") or []
    if port.isdecimal():
        for one in ports:
            if one.get("port") == int(port):
                return str(one.get("name", ""))
        raise ServiceUnavailable(
            f'no service port {port} found for service "{service["metadata"]["name"]}"'
        )
    return port


def _endpoints(
    core: Core, namespace: str, name: str, port_name: str, port: str
) -> list[tuple[str, int]]:
    found = []
    slices = core.engine.registry.list(_SLICES, namespace, f"kubernetes.io/service-name={name}")
    for one in slices:
        numbers = [
            each["port"]
            for each in one.get("ports") or []
            if each.get("port") and (not port or (each.get("name") or "") == port_name)
        ]
        if not numbers:
            continue
        for endpoint in one.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                found += [(address, numbers[0]) for address in endpoint.get("addresses") or []]
    return found


async def _object(core: Core, call: Call, name: str) -> Object:
    await wait_for(core, "")
    resource = call.served.resource
    item = core.cache(call.served).get(f"{call.info.namespace}/{name}")
    if item is None:
        raise NotFound.for_object(resource.group, resource.name, name)
    return wire.decode(call.served, item.data)


def _place(scheme: str, host: str, port: int) -> _Place:
    if scheme != "https":
        return _Place("http", host, port, None)
    # As upstream: whoever proxies to a pod does not know its CA.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _Place("https", host, port, context)


async def _forward(core: Core, call: Call, place: _Place) -> None:
    exchange = call.exchange
    prefix, path = _split_path(call)
    await core.engine.registry.admit(
        AdmissionAttributes(
            resource=call.served.resource,
            operation=CONNECT,
            object={"path": path or "/"},
            old=None,
            user=call.user,
            name=call.info.name,
            namespace=call.info.namespace,
            subresource=call.info.subresource or "proxy",
        )
    )
    if not path and exchange.method in ("GET", "HEAD"):
        query = f"?{exchange.raw_query}" if exchange.raw_query else ""
        exchange.respond(301, "", b"", [("Location", f"{prefix}/{query}")])
        return
    target = (path or "/") + (f"?{exchange.raw_query}" if exchange.raw_query else "")
    if wants_upgrade(exchange):
        await tunnel(exchange, Backend(place.host, place.port, target, place.tls))
        return
    host = f"[{place.host}]" if ":" in place.host else place.host
    url = f"{place.scheme}://{host}:{place.port}{target}"
    await _exchange(core, exchange, url, prefix, place)


def _split_path(call: Call) -> tuple[str, str]:
    """The part of the path up to `…/proxy`, and what comes after it, as the client wrote them."""
    pieces = call.exchange.raw_path.split("/")
    cut = 8 if call.served.resource.namespaced else 6
    rest = pieces[cut:]
    return "/".join(pieces[:cut]), "/" + "/".join(rest) if rest else ""


async def _exchange(core: Core, exchange: Exchange, url: str, prefix: str, place: _Place) -> None:
    from yarl import URL

    headers = end_to_end(exchange)
    headers += [
        ("X-Forwarded-Uri", exchange.raw_path),
        ("X-Forwarded-Host", exchange.headers.get("Host", "")),
        ("X-Forwarded-Proto", "https"),
    ]
    try:
        async with core.kubelets.session.request(
            exchange.method,
            URL(url, encoded=True),
            headers=headers,
            data=body_of(exchange),
            allow_redirects=False,
            ssl=place.tls or False,
        ) as response:
            await answer(exchange, response, prefix)
    except (aiohttp.ClientError, TimeoutError) as error:
        if exchange.status:
            return
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error


def end_to_end(exchange: Exchange) -> list[tuple[str, str]]:
    """The request's headers that are for the backend too."""
    headers = [(k, v) for k, v in exchange.headers.items() if k.lower() not in _HOP_HEADERS]
    if "Content-Length" in exchange.headers:
        headers.append(("Content-Length", exchange.headers["Content-Length"]))
    return headers


def body_of(exchange: Exchange) -> AsyncIterator[bytes] | None:
    """The request's body as it comes, or None without one."""
    has_body = "Content-Length" in exchange.headers or "Transfer-Encoding" in exchange.headers
    return _body(exchange) if has_body else None


async def _body(exchange: Exchange) -> AsyncIterator[bytes]:
    while chunk := await exchange.read_chunk():
        yield chunk


async def answer(exchange: Exchange, response: aiohttp.ClientResponse, prefix: str) -> None:
    """Hand the backend's answer on as it comes."""
    headers = []
    for name, value in response.headers.items():
        lower = name.lower()
        if lower in _HOP_HEADERS or lower in ("content-type", "date", "cache-control"):
            continue
        if lower == "location":
            value = _relocated(value, response, prefix)  # noqa: PLW2901 - one header's rewriting
        headers.append((name, value))
    content_type = response.headers.get("Content-Type", "")
    if exchange.method == "HEAD" or response.status in (204, 304):
        exchange.respond(response.status, content_type, b"", headers)
        return
    exchange.start(response.status, content_type, headers)
    forget = exchange.connection.on_lost(response.close)
    try:
        async for data in response.content.iter_any():
            exchange.write(data)
            await exchange.drain()
    finally:
        forget()
    exchange.finish()


def _relocated(location: str, response: aiohttp.ClientResponse, prefix: str) -> str:
    """A redirect within the proxied server stays within the proxy's path."""
    parts = urlsplit(location)
    if parts.netloc and parts.netloc != response.url.authority:
        return location
    query = f"?{parts.query}" if parts.query else ""
    return f"{prefix}{parts.path if parts.path.startswith('/') else '/' + parts.path}{query}"
