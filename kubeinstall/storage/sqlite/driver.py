"""The `sqlite://` driver: an embedded store for one host.

One writer thread (group commit), readers in a small thread pool, live events fanned out on the event loop. The process
that opens the file owns it: a lock file beside it keeps a second one out.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kubeinstall.errors import KeyConflict, StoreError
from kubeinstall.storage.sqlite import compaction, reader
from kubeinstall.storage.sqlite.schema import connect, read_number
from kubeinstall.storage.sqlite.writer import Task, Write, Writer
from kubeinstall.storage.store import KeyValue, Page, StoreEvent

T = TypeVar("T")

HISTORY_SECONDS = 300.0  # how long history is kept, as upstream's etcd-compaction-interval
HISTORY_REVISIONS = 200_000  # and how many revisions at the most
UPKEEP_SECONDS = 30.0
EXPIRY_SECONDS = (
    2.0  # a key outlives its time to live by no more: servers that died are missed soon
)
WATCH_BUFFER = 50_000  # events that a slow consumer may leave waiting before its watch ends
REPLAY_BATCH = 500


class SQLiteStore:
    """See `storage.store.Store`. Make one with `await SQLiteStore.open(path)`."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, lock: int) -> None:
        self._loop = loop
        self._lock = lock
        self._path = path
        self._watches: set[SQLiteWatch] = set()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="sqlite-reader")
        self._writer = Writer(path, self._publish)
        self._published = self._writer.revision
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), self._published)])
        self._upkeep = loop.create_task(self._keep_up(), name="sqlite-upkeep")

    @classmethod
    async def open(cls, path: Path) -> SQLiteStore:
        """Open or make the database file (mode 0600); `StoreError` says why it cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _take_lock(path.with_name(path.name + ".lock"))
            return cls(path, loop, lock)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot open the datastore: {error}") from error

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """See `Store.get`."""
        newest = self._published
        return await self._read(lambda c: reader.get(c, key, revision, newest))

    async def scan(
        self, prefix: str, *, revision: int = 0, limit: int = 0, start: str = ""
    ) -> Page:
        """See `Store.scan`."""
        newest = self._published
        return await self._read(lambda c: reader.scan(c, prefix, revision, newest, limit, start))

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        """See `Store.create`."""
        return await self._write(Write(key, value, 0, ttl, self._loop.create_future()))

    async def update(self, key: str, value: bytes, *, expected: int, ttl: int = 0) -> int:
        """See `Store.update`."""
        return await self._write(
            Write(key, value, _guard(key, expected), ttl, self._loop.create_future())
        )

    async def delete(self, key: str, *, expected: int) -> int:
        """See `Store.delete`."""
        return await self._write(
            Write(key, None, _guard(key, expected), 0, self._loop.create_future())
        )

    def watch(self, prefix: str, *, since: int) -> SQLiteWatch:
        """See `Store.watch`. Live events gather from this call on; history is read when iteration starts."""
        watch = SQLiteWatch(self, prefix, since, self._published)
        self._watches.add(watch)
        return watch

    async def current_revision(self) -> int:
        """See `Store.current_revision`."""
        return self._published

    async def compacted_revision(self) -> int:
        """See `Store.compacted_revision`."""
        return await self._read(lambda c: read_number(c, "compacted"))

    async def compact(self, revision: int) -> None:
        """See `Store.compact`; runs in small steps between writes."""
        target = min(revision, self._published)
        more = True
        while more:
            more = await self._task(lambda c: compaction.compact_step(c, target))

    async def expire(self) -> int:
        """Delete keys whose time to live has passed; returns how many."""
        count = 0
        for key, revision in await self._task(lambda c: compaction.expired(c, REPLAY_BATCH)):
            try:
                await self.delete(key, expected=revision)
                count += 1
            except KeyConflict:
                continue  # written since: it has a new time to live
        return count

    async def close(self) -> None:
        """See `Store.close`."""
        self._upkeep.cancel()
        for watch in list(self._watches):
            watch.fail(StoreError("the datastore is closed"))
        await asyncio.to_thread(self._writer.close)
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        os.close(self._lock)

    async def history(self, since: int, until: int) -> list[StoreEvent]:
        """A batch of writes after `since`, for a watch that replays."""
        return await self._read(lambda c: reader.history(c, since, until, REPLAY_BATCH))

    def forget(self, watch: SQLiteWatch) -> None:
        """Stop feeding a watch."""
        self._watches.discard(watch)

    async def _write(self, write: Write) -> int:
        self._writer.submit(write)
        return await write.done

    async def _task(self, run: Callable[[sqlite3.Connection], T]) -> T:
        task = Task(run)
        self._writer.submit(task)
        result: T = await asyncio.wrap_future(task.done)
        return result

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        def work() -> T:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = connect(self._path, read_only=True)
                self._connections.append(connection)
            return read(connection)

        try:
            return await self._loop.run_in_executor(self._readers, work)
        except sqlite3.Error as error:
            raise StoreError(f"the datastore failed: {error}") from error

    def _publish(
        self, events: list[StoreEvent], outcomes: list[tuple[Write, int | Exception]]
    ) -> None:
        """From the writer's thread: events reach the watches before any writer hears of success."""
        try:
            self._loop.call_soon_threadsafe(self._deliver, events, outcomes)
        except RuntimeError:  # the loop is closed: nobody is left to hear
            return

    def _deliver(
        self, events: list[StoreEvent], outcomes: list[tuple[Write, int | Exception]]
    ) -> None:
        if events:
            self._published = events[-1].revision
            for watch in list(self._watches):
                watch.feed(events)
        for write, outcome in outcomes:
            if write.done.done():  # the caller went away; the write happened all the same
                continue
            if isinstance(outcome, int):
                write.done.set_result(outcome)
            else:
                write.done.set_exception(outcome)

    async def _keep_up(self) -> None:
        """Expiry every `EXPIRY_SECONDS`, compaction and checkpoints every `UPKEEP_SECONDS`; a failure is tried again
        next time."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            with contextlib.suppress(StoreError):
                await self.expire()
            now = time.monotonic()
            if now - last < UPKEEP_SECONDS:
                continue
            last = now
            if self._marks[-1][1] != self._published:
                self._marks.append((now, self._published))
            try:
                await self._compact_history(now)
                await self._task(compaction.checkpoint)
            except StoreError:
                continue

    async def _compact_history(self, now: float) -> None:
        target = max(0, self._published - HISTORY_REVISIONS)
        while len(self._marks) > 1 and now - self._marks[1][0] > HISTORY_SECONDS:
            self._marks.popleft()
        if now - self._marks[0][0] > HISTORY_SECONDS:
            target = max(target, self._marks[0][1])
        await self.compact(target)


class SQLiteWatch:
    """A watch on a `SQLiteStore`: history first, then live, without a gap between them."""

    def __init__(self, store: SQLiteStore, prefix: str, since: int, head: int) -> None:
        self._store = store
        self._prefix = prefix
        self.revision = since
        self._head = head  # live events begin after this revision
        self._buffer: deque[StoreEvent] = deque()
        self._wake = asyncio.Event()
        self._failure: StoreError | None = None

    def feed(self, events: list[StoreEvent]) -> None:
        """Take live events; a consumer too far behind loses its watch rather than our memory."""
        self._buffer.extend(events)
        if len(self._buffer) > WATCH_BUFFER:
            self.fail(StoreError("the watch is too slow"))
        self._wake.set()

    def fail(self, error: StoreError) -> None:
        """End the watch with an error."""
        self._failure = error
        self.close()

    def close(self) -> None:
        """End the watch."""
        self._store.forget(self)
        self._buffer.clear()
        self._failure = self._failure or StoreError("the watch is closed")
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[list[StoreEvent]]:
        while self.revision < self._head:
            batch = await self._store.history(self.revision, self._head)
            if not batch:
                break
            self.revision = batch[-1].revision
            yield self._wanted(batch)
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            batch = [event for event in self._buffer if event.revision > self.revision]
            self._buffer.clear()
            if batch:
                self.revision = batch[-1].revision
                yield self._wanted(batch)

    def _wanted(self, batch: list[StoreEvent]) -> list[StoreEvent]:
        return [event for event in batch if event.key.startswith(self._prefix)]


def _guard(key: str, expected: int) -> int:
    if expected <= 0:
        raise KeyConflict(key)
    return expected


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"{path}: another process uses this datastore") from error
    _restrict(path)
    return descriptor


def _restrict(lock: Path) -> None:
    """Secrets are stored here: the database is for its owner alone, whatever the umask."""
    database = Path(str(lock).removesuffix(".lock"))
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database.chmod(0o600)
