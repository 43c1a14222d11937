"""Reads of the SQLite driver: one key, a range at a revision, history."""

from __future__ import annotations

import sqlite3

from kubeinstall.errors import RevisionCompacted, RevisionInFuture
from kubeinstall.storage.sqlite.schema import prefix_end, read_number
from kubeinstall.storage.store import KeyValue, Page, StoreEvent

_GET = """
SELECT key, value, create_revision, revision, deleted FROM log
WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1
"""
# Grouping follows the index (key, revision), so the range streams in key order and LIMIT ends it early.
_RANGE = """
SELECT log.key, log.value, log.create_revision, log.revision
FROM (SELECT key, MAX(revision) AS newest FROM log
      WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) AS latest
JOIN log ON log.revision = latest.newest
WHERE log.deleted = 0 ORDER BY latest.key LIMIT ?
"""
_COUNT = """
SELECT COUNT(*) FROM (SELECT MAX(revision) AS newest FROM log
      WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) AS latest
JOIN log ON log.revision = latest.newest WHERE log.deleted = 0
"""
_HISTORY = """
SELECT log.revision, log.key, log.value, log.create_revision, log.deleted, old.value
FROM log LEFT JOIN log AS old ON old.revision = log.previous
WHERE log.revision > ? AND log.revision <= ? ORDER BY log.revision LIMIT ?
"""


def get(connection: sqlite3.Connection, key: str, revision: int, newest: int) -> KeyValue | None:
    """The key's value at `revision` (0: at `newest`)."""
    check_revision(connection, revision, newest)
    row = connection.execute(_GET, (key, revision or newest)).fetchone()
    if row is None or row[4]:
        return None
    return KeyValue(row[0], row[1], row[2], row[3])


def scan(
    connection: sqlite3.Connection,
    prefix: str,
    revision: int,
    newest: int,
    limit: int,
    start: str,
) -> Page:
    """Keys below `prefix` from `start` on; one more than `limit` is read to know whether there are more."""
    check_revision(connection, revision, newest)
    at = revision or newest
    bounds = (max(start, prefix), prefix_end(prefix), at)
    rows = connection.execute(_RANGE, (*bounds, limit + 1 if limit else -1)).fetchall()
    more = bool(limit) and len(rows) > limit
    items = [KeyValue(*row) for row in (rows[:limit] if more else rows)]
    remaining = 0
    if more:
        remaining = int(connection.execute(_COUNT, bounds).fetchone()[0]) - limit
    return Page(items, at, more, remaining)


def history(connection: sqlite3.Connection, since: int, until: int, limit: int) -> list[StoreEvent]:
    """Up to `limit` writes in (since, until], in order; `RevisionCompacted` if some are gone."""
    if since < read_number(connection, "compacted"):
        raise RevisionCompacted(f"revision {since} has been compacted")
    rows = connection.execute(_HISTORY, (since, until, limit)).fetchall()
    return [
        StoreEvent(revision, key, None if deleted else value, previous, create_revision)
        for revision, key, value, create_revision, deleted, previous in rows
    ]


def check_revision(connection: sqlite3.Connection, revision: int, newest: int) -> None:
    """Refuse a revision that is compacted or yet to come; 0 means now."""
    if revision == 0:
        return
    if revision > newest:
        raise RevisionInFuture(f"revision {revision} is in the future, the newest is {newest}")
    if revision < read_number(connection, "compacted"):
        raise RevisionCompacted(f"revision {revision} has been compacted")
