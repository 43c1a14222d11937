"""What all writes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Catalog, Served, cache_of
from kubeinstall.apiserver.request import SYSTEM_USER, AdmissionAttributes, User
from kubeinstall.errors import NotFound
from kubeinstall.storage.cache import CachedObject, Cacher, ResourceCache
from kubeinstall.storage.store import Store

if TYPE_CHECKING:
    from kubeinstall.apiserver.interfaces import AdmissionChain, Hooks
    from kubeinstall.apiserver.registry import Registry


@dataclass(slots=True)
class Write:
    """In whose name a write is done, and how.

    `options` is the options object that admission sees; `admit=False` skips admission.
    """

    user: User = SYSTEM_USER
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    admit: bool = True


class Result(NamedTuple):
    """A stored object: its encoding with the resourceVersion spliced in (absent after a dry-run
    create), as `CachedObject.data`."""

    data: bytes

    def object(self) -> Object:
        """A decoded copy, in the storage version, without kind and apiVersion."""
        return cast("Object", orjson.loads(self.data))


class Engine:
    """The store with everything that a write needs. `admission` and `hooks` are set once they are
    built, before the first write; so is `registry`."""

    def __init__(self, catalog: Catalog, store: Store, cacher: Cacher, event_ttl: int) -> None:
        self.catalog = catalog
        self.store = store
        self.cacher = cacher
        self.event_ttl = event_ttl
        self.admission: AdmissionChain | None = None
        self.hooks: Mapping[tuple[str, str], Hooks] = {}
        self.registry: Registry = cast("Registry", None)
        #: (store key, its revision) → whether it is stored with a key that is no longer the first one,
        #: and is written again although nothing changes.
        self.is_stale: Callable[[str, int], bool] = _never

    def cache(self, served: Served) -> ResourceCache:
        """The watch cache of a resource."""
        return cache_of(self.cacher, served)

    def hooks_of(self, served: Served) -> Hooks | None:
        """What the resource does around its writes."""
        return self.hooks.get((served.storage.group, served.storage.name))

    def ttl(self, served: Served) -> int:
        """How long an object lives, in seconds; 0 is forever."""
        return self.event_ttl if served.storage.name == "events" else 0

    async def current(self, served: Served, key: str) -> CachedObject:
        """The newest state of an object. Raises `NotFound`."""
        await self.cacher.fresh()
        item = self.cache(served).get(key)
        if item is None:
            raise self.missing(served, key)
        return item

    @staticmethod
    def missing(served: Served, key: str) -> NotFound:
        """That there is no such object."""
        resource = served.resource
        return NotFound.for_object(resource.group, resource.name, key.rpartition("/")[2])

    async def mutate(self, write: Write, attributes: AdmissionAttributes) -> Object:
        """Let mutating admission change the object; returns what it is now."""
        if write.admit and self.admission is not None:
            await self.admission.mutate(attributes)
        return cast("Object", attributes.object)

    async def admit(self, write: Write, attributes: AdmissionAttributes) -> None:
        """Ask validating admission."""
        if write.admit and self.admission is not None:
            await self.admission.validate(attributes)


def _never(_key: str, _revision: int) -> bool:
    return False


def key_of(served: Served, namespace: str, name: str) -> str:
    """Where an object stands in the watch cache."""
    return f"{namespace}/{name}" if served.storage.namespaced else name


def metadata_of(obj: Object) -> dict[str, Any]:
    """The object's metadata, made where it is missing."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        metadata = obj["metadata"] = {}
    return metadata
