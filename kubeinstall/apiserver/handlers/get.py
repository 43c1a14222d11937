"""GET of one object."""

from __future__ import annotations

from kubeinstall.apiserver import params, wire
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.respond import encode, send
from kubeinstall.errors import NotFound, StatusError
from kubeinstall.storage.cache import CachedObject


async def get(core: Core, call: Call) -> None:
    """Answer with the object. Nothing is decoded for plain JSON."""
    served, exchange = call.served, call.exchange
    item = await find(core, call)
    if served.same and call.output.plain:
        exchange.respond(200, "application/json", wire.plain(served, item.data))
        return
    include = exchange.query.get("includeObject", "")
    obj = wire.transform(served, wire.decode(served, item.data), call.output, include=include)
    await send(exchange, 200, encode(obj, call.output), call.output.media_type)


async def find(core: Core, call: Call) -> CachedObject:
    """The object named by the path, as new as `resourceVersion` asks for. Raises `NotFound`."""
    await wait_for(core, call.exchange.query.get("resourceVersion", ""))
    item = core.cache(call.served).get(call.key)
    if item is None:
        resource = call.served.resource
        raise NotFound.for_object(resource.group, resource.name, call.info.name)
    return item


async def wait_for(core: Core, resource_version: str) -> None:
    """Bring the cache to what a read asks for: the newest, anything ("0") or a minimum."""
    if not resource_version:
        await core.cacher.fresh()
        return
    try:
        revision = params.revision(resource_version)
    except ValueError as error:
        raise StatusError(str(error), code=500, reason="") from error
    if revision > core.cacher.revision:
        await core.cacher.caught_up(revision)
