"""Tables and connections of the SQLite driver.

`log` holds every write; a key's current value is its newest row. `previous` points at the row that a write replaced, so
compaction walks revisions in order and never searches:

    revision  key  previous  deleted        compact(3): row 1 is replaced by 2, row 2 by the
    1         a    0         0              delete 3, and 3 itself says nothing any more
    2         a    1         0              → rows 1, 2 and 3 go, row 4 stays
    3         a    2         1
    4         b    0         0
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kubeinstall.errors import StoreError

_TABLES = """
CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    create_revision INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    expires INTEGER,
    value BLOB
);
CREATE INDEX IF NOT EXISTS log_key ON log (key, revision);
CREATE INDEX IF NOT EXISTS log_expires ON log (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('compacted', 0);
INSERT OR IGNORE INTO meta VALUES ('format', 1);
"""
_FORMAT = 1
_WAL_LIMIT = 64 << 20  # bytes that the write-ahead log keeps on disk after a checkpoint


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the database; the writer's connection also makes the tables and owns checkpoints."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return connection
    # auto_vacuum only takes effect before the first table exists: it is what lets compaction give space back.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: the write-ahead log reaches the disk before a write is acknowledged, so power may fail too.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    connection.executescript(_TABLES)
    found = read_number(connection, "format")
    if found != _FORMAT:
        raise StoreError(
            f"{path}: written by another version (format {found}, this one reads {_FORMAT})"
        )
    return connection


def read_number(connection: sqlite3.Connection, name: str) -> int:
    """A number of the `meta` table."""
    row = connection.execute("SELECT number FROM meta WHERE name = ?", (name,)).fetchone()
    return int(row[0])


def read_revision(connection: sqlite3.Connection) -> int:
    """The newest revision ever written, compacted or not."""
    row = connection.execute("SELECT MAX(revision) FROM log").fetchone()
    return max(int(row[0] or 0), read_number(connection, "compacted"))


def prefix_end(prefix: str) -> str:
    """The first key after all keys with this prefix ("/a/" → "/a0")."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
