"""Bounded history: compaction in small steps, space back to the file system, expiry of keys with a time to live."""

from __future__ import annotations

import sqlite3
import time

from kubeinstall.storage.sqlite.schema import read_number

STEP = 1000  # revisions that one step walks; a step holds the writer for a few milliseconds
VACUUM_PAGES = 2000  # pages given back to the file system after a step

# A row in (from, to] makes the row that it replaced worthless; a delete makes itself worthless too.
_DELETE_REPLACED = """
DELETE FROM log WHERE revision IN
    (SELECT previous FROM log WHERE revision > ? AND revision <= ? AND previous > 0)
"""
_DELETE_DELETES = "DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted = 1"
_EXPIRED = """
SELECT key, revision FROM log WHERE expires IS NOT NULL AND expires <= ?
    AND revision = (SELECT MAX(revision) FROM log AS newer WHERE newer.key = log.key)
ORDER BY expires LIMIT ?
"""


def compact_step(connection: sqlite3.Connection, target: int) -> bool:
    """Move the compacted revision towards `target` by one step; True when there is more to do."""
    done = read_number(connection, "compacted")
    upto = min(done + STEP, target)
    if upto <= done:
        return False
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_DELETE_REPLACED, (done, upto))
    connection.execute(_DELETE_DELETES, (done, upto))
    connection.execute("UPDATE meta SET number = ? WHERE name = 'compacted'", (upto,))
    connection.execute("COMMIT")
    # A script, because each step of this pragma frees one page and execute() takes only the first step.
    connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    return upto < target


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move the write-ahead log into the database file, as far as readers allow."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def expired(connection: sqlite3.Connection, limit: int) -> list[tuple[str, int]]:
    """Keys whose time to live has passed, with the revision to delete."""
    return connection.execute(_EXPIRED, (int(time.time()), limit)).fetchall()
