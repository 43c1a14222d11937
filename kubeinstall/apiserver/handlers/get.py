"""GET of one object."""

from __future__ import annotations

from typing import NamedTuple, cast

import orjson

from kubeinstall.api.types import Object
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


class Found(NamedTuple):
    """An object in the served version."""

    data: bytes

    def object(self) -> Object:
        """A decoded copy without kind and apiVersion."""
        return cast("Object", orjson.loads(self.data))


async def find(core: Core, call: Call) -> CachedObject | Found:
    """The object named by the path, as new as `resourceVersion` asks for. Raises `NotFound`."""
    await wait_for(core, call.exchange.query.get("resourceVersion", ""))
    item = core.cache(call.served).get(call.key)
    if item is None:
        resource = call.served.resource
        raise NotFound.for_object(resource.group, resource.name, call.info.name)
    if call.served.reading is not None:
        (data,) = await call.served.reading.read([item])
        return Found(data)
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
