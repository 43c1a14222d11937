"""A store over another one: encrypts values of the configured resources, and leaves all others alone.

What is not configured passes through untouched and uncopied: a page or batch without such keys is the inner store's own
object. Which keys hold a value of an older key is remembered (`is_stale`), so that an update that changes nothing is
written all the same, as upstream does; that is how data moves to a new key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from kubeinstall.storage.encryption.configuration import EncryptionConfiguration
from kubeinstall.storage.encryption.transformer import Transformer
from kubeinstall.storage.store import INTERNAL, KeyValue, Page, Store, StoreEvent, StoreWatch


class EncryptedStore:
    """See `storage.store.Store`. Owns the inner store."""

    def __init__(self, inner: Store, configuration: EncryptionConfiguration) -> None:
        self._inner = inner
        self._configuration = configuration
        self._transformers: dict[str, Transformer | None] = {}  # one for each resource
        # Key → revision of its value. At most the stored keys of configured resources.
        self._stale: dict[str, int] = {}

    def is_stale(self, key: str, revision: int) -> bool:
        """Whether what is stored since `revision` should be written again, with the key that is first now."""
        return self._stale.get(key) == revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """See `Store.get`."""
        found = await self._inner.get(key, revision=revision)
        return found if found is None else self._opened(found)

    async def scan(
        self, prefix: str, *, revision: int = 0, limit: int = 0, start: str = ""
    ) -> Page:
        """See `Store.scan`."""
        page = await self._inner.scan(prefix, revision=revision, limit=limit, start=start)
        for index, item in enumerate(page.items):
            if self.transformer(item.key) is not None:
                page.items[index] = self._opened(item)
        return page

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        """See `Store.create`."""
        return await self._inner.create(key, self._sealed(key, value), ttl=ttl)

    async def update(self, key: str, value: bytes, *, expected: int, ttl: int = 0) -> int:
        """See `Store.update`."""
        revision = await self._inner.update(
            key, self._sealed(key, value), expected=expected, ttl=ttl
        )
        self._stale.pop(key, None)
        return revision

    async def delete(self, key: str, *, expected: int) -> int:
        """See `Store.delete`."""
        revision = await self._inner.delete(key, expected=expected)
        self._stale.pop(key, None)
        return revision

    def watch(self, prefix: str, *, since: int) -> StoreWatch:
        """See `Store.watch`."""
        return EncryptedWatch(self, self._inner.watch(prefix, since=since))

    async def current_revision(self) -> int:
        """See `Store.current_revision`."""
        return await self._inner.current_revision()

    async def compacted_revision(self) -> int:
        """See `Store.compacted_revision`."""
        return await self._inner.compacted_revision()

    async def compact(self, revision: int) -> None:
        """See `Store.compact`."""
        await self._inner.compact(revision)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._inner.close()

    def transformer(self, key: str) -> Transformer | None:
        """How the value of a key is stored; None: as it is. Keys are `/registry/GROUP/PLURAL/…`."""
        if key.startswith(INTERNAL):
            return None
        second = key.find("/", 10)
        third = key.find("/", second + 1)
        resource = key[10:third]
        try:
            return self._transformers[resource]
        except KeyError:
            group, _, plural = resource.partition("/")
            found = self._configuration.transformer("" if group == "core" else group, plural)
            self._transformers[resource] = found
            return found

    def opened_event(self, event: StoreEvent, transformer: Transformer) -> StoreEvent:
        """The event with its values as they were."""
        value, previous = event.value, event.previous
        if value is None:
            self._note(event.key, event.revision, stale=False)
        else:
            value, stale = transformer.open(value, event.key)
            self._note(event.key, event.revision, stale=stale)
        if previous is not None:
            previous = transformer.open(previous, event.key).value
        return replace(event, value=value, previous=previous)

    def _opened(self, item: KeyValue) -> KeyValue:
        transformer = self.transformer(item.key)
        if transformer is None:
            return item
        value, stale = transformer.open(item.value, item.key)
        self._note(item.key, item.mod_revision, stale=stale)
        return replace(item, value=value)

    def _sealed(self, key: str, value: bytes) -> bytes:
        transformer = self.transformer(key)
        return value if transformer is None else transformer.seal(value, key)

    def _note(self, key: str, revision: int, *, stale: bool) -> None:
        """History may be read as well: what it says does not count against what is newer."""
        if revision < self._stale.get(key, 0):
            return
        if stale:
            self._stale[key] = revision
        else:
            self._stale.pop(key, None)


class EncryptedWatch:
    """See `storage.store.StoreWatch`."""

    def __init__(self, store: EncryptedStore, inner: StoreWatch) -> None:
        self._store = store
        self._inner = inner
        self.revision = inner.revision

    def close(self) -> None:
        """End the watch."""
        self._inner.close()

    async def __aiter__(self) -> AsyncIterator[list[StoreEvent]]:
        async for batch in self._inner:
            for index, event in enumerate(batch):
                transformer = self._store.transformer(event.key)
                if transformer is not None:
                    batch[index] = self._store.opened_event(event, transformer)
            self.revision = self._inner.revision
            yield batch
