"""A process's output in a file that cannot grow without bound."""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 20 << 20
KEEP = 3  # older files: NAME.log.1 … NAME.log.3


def open_log(path: Path) -> int:
    """A descriptor to append to; the file is private to its owner, since messages may tell of a cluster's inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def rotate(path: Path) -> bool:
    """Copy a file that is too long aside and empty it in place: the process keeps its descriptor (O_APPEND)."""
    try:
        if path.stat().st_size <= MAX_BYTES:
            return False
    except FileNotFoundError:
        return False
    for number in range(KEEP - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.with_name(f"{path.name}.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    return True
