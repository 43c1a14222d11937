"""The watch cache over a whole store: one store watch feeds the caches of all resources.

Reads are consistent without asking the datastore for data: `fresh()` learns the store's newest revision and waits until
the cache has seen it (KEP-2340).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from kubeinstall.errors import StoreError, Timeout
from kubeinstall.storage.cache.objects import FieldsOf
from kubeinstall.storage.cache.resource import ResourceCache
from kubeinstall.storage.store import INTERNAL, KeyValue, Store, StoreEvent

ROOT = "/registry/"
PAGE = 2000  # keys read at a time when the cache is filled
FRESH_TIMEOUT = 3.0  # seconds that a consistent read waits for the cache, as upstream
REPLAY_REVISIONS = (
    10_000  # history that a new cache takes over, so that watchers resume after a restart
)

#: Gives the function that takes the selectable fields out of an object of (group, plural).
FieldsFor = Callable[[str, str], FieldsOf]


def resource_prefix(group: str, plural: str) -> str:
    """Where the keys of a resource begin: "/registry/core/pods/"."""
    return f"{ROOT}{group or 'core'}/{plural}/"


class Cacher:
    """Caches of all resources. `await start()` before use; `run()` keeps it current until cancelled."""

    def __init__(self, store: Store, fields_for: FieldsFor) -> None:
        self.store = store
        self.revision = 0  # everything up to here has been seen
        self._fields_for = fields_for
        self._caches: dict[str, ResourceCache] = {}
        self._floor = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def resource(self, group: str, plural: str) -> ResourceCache:
        """The cache of one resource; made when first asked for, also where nothing is stored."""
        prefix = resource_prefix(group, plural)
        found = self._caches.get(prefix)
        if found is None:
            found = ResourceCache(prefix, self._fields_for(group, plural), self._floor)
            self._caches[prefix] = found
        return found

    def caches(self) -> list[ResourceCache]:
        """All caches there are, for metrics."""
        return list(self._caches.values())

    async def start(self) -> None:
        """Read everything, and the recent history that lets watchers of a former process resume."""
        self.revision = await self.store.current_revision()
        compacted = await self.store.compacted_revision()
        # etcd counts from 1, and nothing happened at 1.
        self._floor = max(compacted, self.revision - REPLAY_REVISIONS, min(1, self.revision))
        await self._load()
        await self._replay()

    async def run(self) -> None:
        """Follow the store; raises `StoreError` when its watch fails (the owner then makes a new cache)."""
        watch = self.store.watch(ROOT, since=self.revision)
        try:
            async for batch in watch:
                for event in batch:
                    self._apply(event)
                self.advance(watch.revision)
        finally:
            watch.close()

    def advance(self, revision: int) -> None:
        """Note that everything up to `revision` has been seen, and wake who waits for it."""
        self.revision = max(self.revision, revision)
        if not self._waiting:
            return
        for wanted, future in self._waiting:
            if wanted <= self.revision and not future.done():
                future.set_result(None)
        self._waiting = [item for item in self._waiting if not item[1].done()]

    async def fresh(self) -> int:
        """Wait until the cache holds all that was written before this call; returns the cache's revision."""
        await self.caught_up(await self.store.current_revision())
        return self.revision

    async def caught_up(self, revision: int, *, seconds: float = FRESH_TIMEOUT) -> None:
        """Wait until the cache has seen `revision`; `Timeout` (with upstream's words) after `seconds`."""
        if revision <= self.revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, future))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError as error:
            raise Timeout(
                f"Timeout: Too large resource version: {revision}, current: {self.revision}",
                details={
                    "causes": [
                        {
                            "reason": "ResourceVersionTooLarge",
                            "message": "Too large resource version",
                        }
                    ]
                },
                retry_after=1,
            ) from error

    async def _load(self) -> None:
        start = ""
        found: dict[str, list[KeyValue]] = defaultdict(list)
        while True:
            page = await self.store.scan(ROOT, revision=self.revision, limit=PAGE, start=start)
            for item in page.items:
                if item.key.startswith(INTERNAL):
                    continue
                found[_prefix_of(item.key)].append(item)
            if not page.more:
                break
            start = page.items[-1].key + "\0"
        for prefix, items in found.items():
            self._cache(prefix).load(items)

    async def _replay(self) -> None:
        if self._floor >= self.revision:
            return
        watch = self.store.watch(ROOT, since=self._floor)
        try:
            async for batch in watch:
                for event in batch:
                    if event.revision <= self.revision and not event.key.startswith(INTERNAL):
                        self._cache(_prefix_of(event.key)).replay(event)
                if watch.revision >= self.revision:
                    return
        except StoreError:
            # Compacted meanwhile, or written with a key that is gone: watchers of a former process
            # start anew, that is all.
            self._floor = self.revision
            for cache in self._caches.values():
                cache.forget_history(self._floor)
        finally:
            watch.close()

    def _apply(self, event: StoreEvent) -> None:
        if not event.key.startswith(INTERNAL):
            self._cache(_prefix_of(event.key)).apply(event)

    def _cache(self, prefix: str) -> ResourceCache:
        _, _, group, plural, _ = prefix.split("/")
        return self.resource("" if group == "core" else group, plural)


def _prefix_of(key: str) -> str:
    return "/".join(key.split("/", 4)[:4]) + "/"
