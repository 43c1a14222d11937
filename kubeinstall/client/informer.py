"""A local copy of a collection, kept current by list and watch.

The loop of upstream's reflector: list, then watch from the list's resourceVersion; when a watch
ends, watch again from the last version seen (bookmarks keep it young); when the server says that
the version is too old, list again and tell the handlers only what changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import structlog

from kubeinstall.api.types import Object
from kubeinstall.client.backoff import Backoff
from kubeinstall.client.client import ApiClient
from kubeinstall.client.status import Unreachable
from kubeinstall.errors import Expired, StatusError

log = structlog.get_logger("informer")

#: Called with (old, new): (None, new) on add, (old, new) on update, (old, None) on delete.
Handler = Callable[[Object | None, Object | None], None]
Indexer = Callable[[Object], Iterable[str]]
Transform = Callable[[Object], Object]
Objects = list[Object]

#: Handlers of a big first list are called in batches, so that nothing else on the loop starves.
_BATCH = 200


def key_of(obj: Object) -> str:
    """`namespace/name`, or `name` for what has no namespace."""
    meta = obj["metadata"]
    namespace = meta.get("namespace")
    return f"{namespace}/{meta['name']}" if namespace else str(meta["name"])


def split_key(key: str) -> tuple[str, str]:
    """(namespace, name) of a key; the namespace is empty for what has none."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def drop_managed_fields(obj: Object) -> Object:
    """The default transform: managedFields are often a third of an object and nobody reads them."""
    obj["metadata"].pop("managedFields", None)
    return obj


class Informer:
    """List and watch of one resource; share it through `InformerSet`.

    The objects are shared by all readers: copy before changing one.
    """

    def __init__(
        self,
        client: ApiClient,
        gvr: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, Indexer] | None = None,
        transform: Transform | None = drop_managed_fields,
        metadata_only: bool = False,
    ) -> None:
        self.gvr = gvr
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._metadata_only = metadata_only
        self._transform = transform
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, Indexer] = dict(indexers or {})
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {n: {} for n in self._indexers}
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._version = ""

    # Reading

    def synced(self) -> bool:
        """True once the first list has been taken in and the handlers were told."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait for `synced()`."""
        await self._synced.wait()

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None."""
        return self._objects.get(f"{namespace}/{name}" if namespace else name)

    def get_key(self, key: str) -> Object | None:
        """The object by its `namespace/name` key, or None."""
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        """All objects, or those of one namespace; in no particular order."""
        if not namespace:
            return list(self._objects.values())
        if "namespace" in self._indexes:
            return self.by_index("namespace", namespace)
        return [o for o in self._objects.values() if o["metadata"].get("namespace") == namespace]

    def keys(self) -> Iterable[str]:
        """The keys of all objects."""
        return self._objects.keys()

    def __len__(self) -> int:
        return len(self._objects)

    def by_index(self, name: str, value: str) -> Objects:
        """The objects for which indexer `name` gave `value`."""
        return list(self._indexes[name].get(value, {}).values())

    # Setting up

    def add_indexer(self, name: str, indexer: Indexer) -> None:
        """Add an index; objects already here are indexed at once. The same name twice is one."""
        if name in self._indexers:
            return
        self._indexers[name] = indexer
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            for value in indexer(obj):
                self._indexes[name].setdefault(value, {})[key] = obj

    def add_handler(self, handler: Handler) -> None:
        """Call `handler(old, new)` on each change; objects already here are told as added.

        Handlers run on the event loop and must be quick: put a key into a WorkQueue.
        """
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            self._call(handler, None, obj)

    # Running

    async def run(self) -> None:
        """List and watch until cancelled; every failure is retried with back-off."""
        backoff = Backoff(base=0.2, cap=30.0, jitter=1.0)
        while True:
            try:
                if not self._version:
                    await self._relist()
                if await self._watch():
                    backoff.reset()
                    continue
            except Expired:
                # Too old to resume: list again, soon but not at once, for the server may be busy.
                log.debug("watch expired", resource=self.gvr, version=self._version)
                self._version = ""
            except Unreachable as error:
                log.debug("connection lost", resource=self.gvr, error=str(error))
            except StatusError as error:
                log.warning("list or watch failed", resource=self.gvr, error=str(error))
            except Exception:
                # Whatever the server sent: everything that depends on this copy must live on.
                log.exception("list or watch failed unexpectedly", resource=self.gvr)
                self._version = ""
            await asyncio.sleep(backoff.next())

    async def _relist(self) -> None:
        listed = await self._client.list(
            self.gvr,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
        )
        fresh: dict[str, Object] = {}
        for obj in listed["items"]:
            fresh[key_of(obj)] = self._transform(obj) if self._transform else obj
        gone = [key for key in self._objects if key not in fresh]
        for key in gone:
            self._remove(key)
        remaining = iter(fresh.items())
        while batch := list(islice(remaining, _BATCH)):
            for key, obj in batch:
                known = self._objects.get(key)
                if known is None or _version(known) != _version(obj):
                    self._store(key, obj)
            await asyncio.sleep(0)
        self._version = listed["metadata"].get("resourceVersion") or ""
        self._synced.set()

    async def _watch(self) -> bool:
        """One watch connection; True when it delivered anything or ended as it should."""
        events = self._client.watch(
            self.gvr,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
        )
        started = asyncio.get_running_loop().time()
        delivered = False
        async for kind, obj in events:
            delivered = True
            self._apply(kind, obj)
        # A server that ends each watch at once is ill: back off instead of spinning.
        return delivered or asyncio.get_running_loop().time() - started > 1.0

    def _apply(self, kind: str, obj: Object) -> None:
        version = _version(obj)
        if kind != "BOOKMARK":
            if self._transform:
                obj = self._transform(obj)
            key = key_of(obj)
            if kind == "DELETED":
                self._remove(key, obj)
            else:
                self._store(key, obj)
        if version:
            self._version = version

    def _store(self, key: str, obj: Object) -> None:
        old = self._objects.get(key)
        if old is not None and _uid(old) != _uid(obj):
            # Deleted and made again between two lists: handlers must see both.
            self._remove(key)
            old = None
        self._objects[key] = obj
        self._reindex(key, old, obj)
        for handler in self._handlers:
            self._call(handler, old, obj)

    def _remove(self, key: str, last: Object | None = None) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._reindex(key, old, None)
        for handler in self._handlers:
            self._call(handler, last or old, None)

    def _reindex(self, key: str, old: Object | None, new: Object | None) -> None:
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            before = set(indexer(old)) if old is not None else set()
            after = set(indexer(new)) if new is not None else set()
            for value in before - after:
                members = index.get(value)
                if members is not None:
                    members.pop(key, None)
                    if not members:
                        del index[value]
            if new is not None:
                for value in after:
                    index.setdefault(value, {})[key] = new

    def _call(self, handler: Handler, old: Object | None, new: Object | None) -> None:
        try:
            handler(old, new)
        # One bad handler must not stop the others' events.
        except Exception:
            log.exception("informer handler failed", resource=self.gvr)


def _version(obj: Object) -> str:
    return (obj.get("metadata") or {}).get("resourceVersion") or ""


def _uid(obj: Object) -> str | None:
    return (obj.get("metadata") or {}).get("uid")


class InformerSet:
    """Informers shared by everything in one process: one list and watch a resource."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self._informers: dict[tuple[str, str, str, str, bool], Informer] = {}
        self._tasks: dict[tuple[str, str, str, str, bool], asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(
        self,
        gvr: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, Indexer] | None = None,
        transform: Transform | None = drop_managed_fields,
        metadata_only: bool = False,
    ) -> Informer:
        """The shared informer with these selectors; made, and started when the set runs, if new.

        The transform of whoever asks first is the one in force.
        """
        key = (gvr, namespace or "", label_selector, field_selector, metadata_only)
        found = self._informers.get(key)
        if found is None:
            found = Informer(
                self.client,
                gvr,
                namespace,
                label_selector,
                field_selector,
                indexers,
                transform,
                metadata_only,
            )
            self._informers[key] = found
            if self._group is not None:
                self._tasks[key] = self._group.create_task(found.run(), name=f"informer {gvr}")
        else:
            for name, indexer in (indexers or {}).items():
                found.add_indexer(name, indexer)
        return found

    def existing(self, gvr: str) -> Informer | None:
        """The informer of whole objects without namespace or selectors, if somebody has asked for it."""
        return self._informers.get((gvr, "", "", "", False))

    async def stop(self, gvr: str, *, metadata_only: bool = False) -> None:
        """Stop and forget an unselected informer: its resource is gone (a deleted CRD)."""
        key = (gvr, "", "", "", metadata_only)
        self._informers.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Run all informers, also those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for key, informer in self._informers.items():
                    self._tasks[key] = group.create_task(
                        informer.run(), name=f"informer {informer.gvr}"
                    )
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        """Wait until every informer asked for so far has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    def synced(self) -> bool:
        """True when every informer has its first list."""
        return all(informer.synced() for informer in self._informers.values())
