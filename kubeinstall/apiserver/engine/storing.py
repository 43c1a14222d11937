"""Between the engine, which works in the version of the request, and the store."""

from __future__ import annotations

from kubeinstall.api import codec
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Served, Stored
from kubeinstall.apiserver.engine.engine import Result
from kubeinstall.storage.cache import CachedObject
from kubeinstall.storage.cache.objects import splice


async def current(served: Served, item: CachedObject) -> Result:
    """A stored object, in the version that the engine works in."""
    if served.reading is None:
        return Result(item.data)
    (data,) = await served.reading.read([item])
    return Result(data)


async def encode(served: Served, obj: Object) -> Stored:
    """An object for the store."""
    if served.reading is not None:
        return await served.reading.encode(obj)
    body = codec.encode_body(obj)
    return Stored(body, body)


async def result(served: Served, stored: Stored, revision: int) -> Result:
    """What was stored, as the answer shows it."""
    if served.reading is not None:
        return Result(await served.reading.after(stored, revision))
    return Result(splice(stored.body, revision))
