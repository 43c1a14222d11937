"""The store protocol: revisioned keys and values, as etcd has them.

One counter, the *revision*, grows by one with every write; it is the API's resourceVersion. A key
remembers the revision that created it and the one that changed it last. A watch replays everything
after a revision and goes on live; history up to the compacted revision is gone.

Drivers: `sqlite://` (`storage/sqlite`), chosen by `open_store(url)`. They pass one test suite, `tests/storage`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

#: Keys below these hold no objects of the API, but which servers live and which ports are taken: they are in no watch
#: cache, and never encrypted (nothing in them is secret, and a rotation of keys rewrites objects).
INTERNAL = ("/registry/masterleases/", "/registry/ranges/")


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key's value at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a range, in key order, as it was at `revision`."""

    items: list[KeyValue]
    revision: int
    more: bool
    remaining: int


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """One write. A delete has `value` None and the value that it ended in `previous`."""

    revision: int
    key: str
    value: bytes | None
    previous: bytes | None
    create_revision: int

    @property
    def created(self) -> bool:
        """Whether this write made the key."""
        return self.value is not None and self.create_revision == self.revision


class StoreWatch(Protocol):
    """A running watch: iterate over batches, in order and without gaps; close it when done.

    Raises `RevisionCompacted` when the history after the revision asked for is gone, and `StoreError` when the consumer
    is too slow or the store fails; the caller then reads anew. A batch may be empty: then only `revision`
    moved on, by a write elsewhere.
    """

    revision: int  # everything up to here has been delivered

    def __aiter__(self) -> AsyncIterator[list[StoreEvent]]: ...

    def close(self) -> None: ...


class Store(Protocol):
    """What a driver does. Every method raises `StoreError` when the datastore cannot."""

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key's value, now or at `revision` (`RevisionCompacted`, `RevisionInFuture`)."""

    async def scan(
        self, prefix: str, *, revision: int = 0, limit: int = 0, start: str = ""
    ) -> Page:
        """Keys beginning with `prefix`, from the key `start` on; `limit` 0 is all."""

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        """Write a new key; returns the revision. `KeyExists` where there is one. `ttl` in seconds, 0 is forever."""

    async def update(self, key: str, value: bytes, *, expected: int, ttl: int = 0) -> int:
        """Replace the value if its mod revision is `expected`, else `KeyConflict`."""

    async def delete(self, key: str, *, expected: int) -> int:
        """Remove the key if its mod revision is `expected`, else `KeyConflict`; returns the revision."""

    def watch(self, prefix: str, *, since: int) -> StoreWatch:
        """Everything after revision `since` below `prefix`."""

    async def current_revision(self) -> int:
        """The newest revision."""

    async def compacted_revision(self) -> int:
        """History up to and including this revision is gone."""

    async def compact(self, revision: int) -> None:
        """Forget history up to and including `revision`; current values stay."""

    async def close(self) -> None:
        """Finish writes under way and let go of everything."""
