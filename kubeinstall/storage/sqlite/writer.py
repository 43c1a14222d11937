"""The one writer of the SQLite driver: a thread that commits all waiting writes in one transaction.

While a commit waits for the disk, further writes gather; the next transaction takes them all (group commit). A write is
acknowledged only after the commit that holds it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from kubeinstall.errors import KeyConflict, KeyExists, StoreError
from kubeinstall.storage.sqlite.schema import connect, read_revision
from kubeinstall.storage.store import StoreEvent

MAX_BATCH = 256  # writes in a transaction
MAX_PENDING = 8192  # writes that may wait before further ones are refused

_CURRENT = """
SELECT revision, create_revision, deleted, value FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1
"""
_INSERT = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class Write:
    """A guarded write: `expected` 0 creates, otherwise it is the mod revision to replace; `value` None deletes."""

    key: str
    value: bytes | None
    expected: int
    ttl: int
    done: asyncio.Future[int]


@dataclass(slots=True)
class Task:
    """Something else that needs the writer's connection (compaction, expiry), run between transactions."""

    run: Callable[[sqlite3.Connection], Any]
    done: Future[Any] = field(default_factory=Future)


#: Called in the writer's thread with the events of a commit and the writes to acknowledge, in order.
Publish = Callable[[list[StoreEvent], list[tuple[Write, int | Exception]]], None]


class Writer:
    """Owns the writing connection. `submit` may be called from any thread."""

    def __init__(self, path: Path, publish: Publish) -> None:
        self._connection = connect(path, read_only=False)
        self.revision = read_revision(self._connection)
        self._publish = publish
        self._queue: SimpleQueue[Write | Task | None] = SimpleQueue()
        self._pending = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write | Task) -> None:
        """Queue a write; `StoreError` when too many wait or the store is closed."""
        if self._closed:
            raise StoreError("the datastore is closed")
        if self._queue.qsize() >= MAX_PENDING:
            raise StoreError("the datastore is too busy: too many writes wait")
        self._queue.put(write)

    def close(self) -> None:
        """Finish what is queued, then let go of the database."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            writes: list[Write] = []
            tasks: list[Task] = []
            ended = self._gather(item, writes, tasks)
            if writes:
                self._commit(writes)
            for task in tasks:
                self._run_task(task)
            if ended:
                return

    def _gather(self, first: Write | Task, writes: list[Write], tasks: list[Task]) -> bool:
        """Sort what waits into `writes` and `tasks`; True when the end was among it."""
        item: Write | Task | None = first
        while item is not None:
            if isinstance(item, Write):
                writes.append(item)
            else:
                tasks.append(item)
            if len(writes) >= MAX_BATCH:
                return False
            try:
                item = self._queue.get_nowait()
            except Empty:
                return False
        return True

    def _commit(self, writes: list[Write]) -> None:
        events: list[StoreEvent] = []
        outcomes: list[tuple[Write, int | Exception]] = []
        revision = self.revision
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                try:
                    event = self._apply(write, revision + 1)
                except StoreError as error:
                    outcomes.append((write, error))
                    continue
                revision += 1
                events.append(event)
                outcomes.append((write, revision))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon(writes, error)
            return
        self.revision = revision
        self._publish(events, outcomes)

    def _apply(self, write: Write, revision: int) -> StoreEvent:
        row = self._connection.execute(_CURRENT, (write.key,)).fetchone()
        found, created, gone, old = row if row is not None else (0, 0, 1, None)
        if write.expected == 0:
            if not gone:
                raise KeyExists(write.key)
            created = revision
        elif gone or found != write.expected:
            raise KeyConflict(write.key)
        expires = int(time.time()) + write.ttl if write.ttl else None
        deleted = write.value is None
        row = (revision, write.key, created, 0 if gone else found, deleted, expires, write.value)
        self._connection.execute(_INSERT, row)
        return StoreEvent(revision, write.key, write.value, None if gone else old, created)

    def _abandon(self, writes: list[Write], error: sqlite3.Error) -> None:
        """Nothing of the transaction happened: say so to every writer (a full disk ends here, a retry may work)."""
        if self._connection.in_transaction:
            self._connection.rollback()
        failure = StoreError(f"the datastore refused a write: {error}")
        failure.__cause__ = error
        self._publish([], [(write, failure) for write in writes])

    def _run_task(self, task: Task) -> None:
        try:
            result = task.run(self._connection)
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            task.done.set_exception(StoreError(f"the datastore failed: {error}"))
        else:
            task.done.set_result(result)
