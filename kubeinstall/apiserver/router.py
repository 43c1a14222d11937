"""From a resource request to its handler, as the routes that upstream installs for each resource.

A path that no route has is 404, a route without that method 405, both in the router's own words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubeinstall.apiserver import params
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.handlers.create import create_object
from kubeinstall.apiserver.handlers.delete import delete_collection, delete_object
from kubeinstall.apiserver.handlers.get import get
from kubeinstall.apiserver.handlers.list import list_objects
from kubeinstall.apiserver.handlers.patch import patch_object
from kubeinstall.apiserver.handlers.scale import get_scale, patch_scale, update_scale
from kubeinstall.apiserver.handlers.subresource import create_subresource
from kubeinstall.apiserver.handlers.update import update_object
from kubeinstall.apiserver.handlers.watch import watch
from kubeinstall.apiserver.proxy.handlers import PROXIES
from kubeinstall.apiserver.respond import unknown_route
from kubeinstall.errors import MethodNotAllowed

Handler = Callable[[Core, Call], Awaitable[None]]

_OBJECT: dict[str, tuple[str, Handler]] = {
    "GET": ("get", get),
    "PUT": ("update", update_object),
    "PATCH": ("patch", patch_object),
    "DELETE": ("delete", delete_object),
}
_SCALE: dict[str, tuple[str, Handler]] = {
    "GET": ("get", get_scale),
    "PUT": ("update", update_scale),
    "PATCH": ("patch", patch_scale),
}
#: Subresources through which the same object is read and written.
_VIEWS = frozenset({"status", "approval", "finalize", "ephemeralcontainers", "resize"})

#: (group, version, plural) → what every answer about it warns of.
_DEPRECATED = {
    ("", "v1", "endpoints"): (
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    ),
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
}


async def dispatch(core: Core, call: Call) -> None:
    """Run the handler. Raises `NotFound` and `MethodNotAllowed` where there is no route."""
    resource = call.served.resource
    warning = _DEPRECATED.get((resource.group, resource.version, resource.name))
    if warning is not None:
        call.exchange.warnings.append(warning)
    await _route(call)(core, call)


def wrong_method() -> MethodNotAllowed:
    """The router's 405."""
    return MethodNotAllowed(
        "the server does not allow this method on the requested resource", details={}
    )


def _route(call: Call) -> Handler:
    info, resource = call.info, call.served.resource
    _check_scope(call)
    if info.subresource:
        return _subresource(call)
    if not info.name or info.verb in ("list", "watch") or len(info.parts) == 1:
        return _collection(call)
    found = _OBJECT.get(call.exchange.method)
    if found is None or found[0] not in resource.verbs:
        raise wrong_method()
    return found[1]


def _check_scope(call: Call) -> None:
    info, resource = call.info, call.served.resource
    if resource.namespaced:
        if not info.namespace and len(info.parts) > 1:
            raise unknown_route()
        if not info.namespace and call.exchange.method != "GET":
            raise wrong_method() if resource.stored else unknown_route()
    elif info.namespace and resource.kind != "Namespace":
        raise unknown_route()


def _collection(call: Call) -> Handler:
    method, verbs = call.exchange.method, call.served.resource.verbs
    if method == "GET" and "list" in verbs:
        return _read_collection
    if method == "POST" and "create" in verbs:
        return create_object if call.served.stored else create_subresource
    if method == "DELETE" and "deletecollection" in verbs:
        return _delete_collection
    raise wrong_method()


async def _read_collection(core: Core, call: Call) -> None:
    options = params.list_options(call.exchange.query)
    if call.info.verb == "watch":
        options.watch = True
        await watch(core, call, options)
    else:
        await list_objects(core, call, options)


async def _delete_collection(core: Core, call: Call) -> None:
    query = dict(call.exchange.query)
    query.pop("watch", None)
    await delete_collection(core, call, params.list_options(query))


def _subresource(call: Call) -> Handler:
    info, resource, method = call.info, call.served.resource, call.exchange.method
    found = resource.subresource(info.subresource)
    if found is None:
        raise unknown_route()
    proxy = PROXIES.get((resource.group, resource.name, found.name))
    if proxy is not None:
        if method not in proxy[0]:
            raise wrong_method()
        return proxy[1]
    if len(info.parts) > 3:
        raise unknown_route()
    if found.name == "scale":
        routes = _SCALE
    elif found.name in _VIEWS:
        routes = {name: route for name, route in _OBJECT.items() if name != "DELETE"}
    else:
        routes = {"POST": ("create", create_subresource)}
    chosen = routes.get(method)
    if chosen is None or chosen[0] not in found.verbs:
        raise wrong_method()
    return chosen[1]
