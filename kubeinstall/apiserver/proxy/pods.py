"""exec, attach, portforward and log of a pod, handed to its kubelet."""

from __future__ import annotations

from urllib.parse import urlencode

import aiohttp

from kubeinstall.api.types import Object
from kubeinstall.apiserver import authz, params, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.handlers.get import find
from kubeinstall.apiserver.proxy.tunnel import Backend, tunnel, wants_upgrade
from kubeinstall.apiserver.proxy.websocket import send_stream, wants_websocket
from kubeinstall.apiserver.request import CONNECT, AdmissionAttributes
from kubeinstall.errors import BadRequest, FieldError, InternalError, Invalid, NotFound, StatusError

_STREAM_FLAGS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_NOT_NEGATIVE = "must be greater than or equal to 0"
_POSITIVE = "must be greater than 0"


async def stream(core: Core, call: Call) -> None:
    """exec and attach."""
    query = call.exchange.params
    pod = await _pod(core, call)
    container = container_of(pod, call.exchange.query.get("container", ""))
    wanted: list[tuple[str, str]] = [
        (theirs, "1")
        for ours, theirs in _STREAM_FLAGS.items()
        if params.boolean(call.exchange.query.get(ours))
    ]
    if call.info.subresource == "exec":
        wanted += [("command", one) for one in query.get("command", [])]
    metadata = pod["metadata"]
    path = f"/{call.info.subresource}/{metadata['namespace']}/{metadata['name']}/{container}"
    await _connect(core, call, pod, path, wanted)


async def port_forward(core: Core, call: Call) -> None:
    """portforward."""
    pod = await _pod(core, call)
    ports = ",".join(call.exchange.params.get("ports", []))
    metadata = pod["metadata"]
    path = f"/portForward/{metadata['namespace']}/{metadata['name']}"
    await _connect(core, call, pod, path, [("port", ports)] if ports else [])


async def _pod(core: Core, call: Call) -> Object:
    item = await find(core, call)
    return wire.decode(call.served, item.data)


async def _connect(
    core: Core, call: Call, pod: Object, path: str, query: list[tuple[str, str]]
) -> None:
    exchange, info = call.exchange, call.info
    _check_may_create(core, call)
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        raise BadRequest(f"pod {info.name} does not have a host assigned")
    await core.engine.registry.admit(
        AdmissionAttributes(
            resource=call.served.resource,
            operation=CONNECT,
            object=_options(call),
            old=None,
            user=call.user,
            name=info.name,
            namespace=info.namespace,
            subresource=info.subresource,
        )
    )
    if not wants_upgrade(exchange):
        raise BadRequest("Upgrade request required")
    kubelet = core.kubelets.find(node)
    target = f"{path}?{urlencode(query)}" if query else path
    await tunnel(exchange, Backend(kubelet.host, kubelet.port, target, core.kubelets.tls))


_TEXTS, _FLAGS = ("container",), ("stdin", "stdout", "stderr", "tty")


def _options(call: Call) -> Object:
    """PodExecOptions and the like, as admission sees them."""
    query, lists = call.exchange.query, call.exchange.params
    if call.info.subresource == "portforward":
        return {"ports": [int(one) for one in lists.get("ports", []) if one.isdecimal()]}
    found: Object = {name: query[name] for name in _TEXTS if query.get(name)}
    found |= {name: True for name in _FLAGS if params.boolean(query.get(name))}
    if call.info.subresource == "exec":
        found["command"] = lists.get("command", [])
    return found


def _check_may_create(core: Core, call: Call) -> None:
    """A stream over GET (WebSocket) does as much as one over POST: both need `create`."""
    if call.exchange.method != "GET":
        return
    attributes = call.info.attributes(call.user, call.exchange.query)._replace(verb="create")
    decision = core.services.authorizer.authorize(attributes)
    if not decision.allowed:
        raise authz.forbidden(attributes, decision)


def container_of(pod: Object, wanted: str) -> str:
    """The container that a stream is for. Raises `BadRequest` in upstream's words."""
    spec = pod.get("spec") or {}
    name = pod["metadata"]["name"]
    containers = [one["name"] for one in spec.get("containers") or []]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    everything = [one["name"] for kind in kinds for one in spec.get(kind) or []]
    if wanted:
        if wanted not in everything:
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(containers) == 1:
        return str(containers[0])
    if not containers:
        raise BadRequest(f"a container name must be specified for pod {name}")
    raise BadRequest(
        f"a container name must be specified for pod {name}, choose one of:"
        f" [{' '.join(everything)}]"
    )


async def log(core: Core, call: Call) -> None:
    """GET …/log, streamed."""
    exchange = call.exchange
    query = log_query(call)
    pod = await _pod(core, call)
    container = container_of(pod, exchange.query.get("container", ""))
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:  # not scheduled: there is no log yet
        exchange.respond(204, "", b"")
        return
    kubelet = core.kubelets.find(node)
    metadata = pod["metadata"]
    path = f"/containerLogs/{metadata['namespace']}/{metadata['name']}/{container}"
    url = f"{kubelet.origin}{path}" + (f"?{urlencode(query)}" if query else "")
    try:
        async with core.kubelets.session.get(url, ssl=core.kubelets.tls) as response:
            if response.status >= 400:
                raise _kubelet_error(response.status, (await response.text()).strip())
            await _copy(call, response)
    except (aiohttp.ClientError, TimeoutError) as error:
        if exchange.status:
            return
        raise InternalError(f'Get "{url}": {error}') from error


async def _copy(call: Call, response: aiohttp.ClientResponse) -> None:
    exchange = call.exchange
    if wants_websocket(exchange):
        await send_stream(exchange, response.content.iter_any())
        return
    exchange.start(200, "text/plain")
    forget = exchange.connection.on_lost(response.close)
    try:
        async for data in response.content.iter_any():
            exchange.write(data)
            await exchange.drain()
    finally:
        forget()
    exchange.finish()


def _kubelet_error(status: int, text: str) -> StatusError:
    if status == 400:
        return BadRequest(text)
    if status == 404:
        return NotFound(text, details={})
    return InternalError(f"Internal error occurred: {text}")


def log_query(call: Call) -> list[tuple[str, str]]:
    """PodLogOptions as the kubelet takes them. Raises `BadRequest` and `Invalid`."""
    given = call.exchange.query
    errors: list[FieldError] = []
    query = [
        (flag, "true")
        for flag in ("follow", "previous", "timestamps")
        if params.boolean(given.get(flag))
    ]
    for name, least, why in (
        ("sinceSeconds", 1, _POSITIVE),
        ("tailLines", 0, _NOT_NEGATIVE),
        ("limitBytes", 1, _POSITIVE),
    ):
        value = params.integer(given.get(name))
        if value is None:
            continue
        if value < least:
            errors.append(FieldError("FieldValueInvalid", name, f"Invalid value: {value}: {why}"))
        query.append((name, str(value)))
    if "sinceTime" in given:
        if "sinceSeconds" in given:
            why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
            errors.append(FieldError("FieldValueForbidden", "", f"Forbidden: {why}"))
        query.append(("sinceTime", given["sinceTime"]))
    if given.get("stream", "All") not in ("All", ""):
        query.append(("stream", given["stream"]))
    if errors:
        raise Invalid("", "PodLogOptions", call.info.name, errors)
    return query
