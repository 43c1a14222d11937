"""Reading container logs in CRI's format.

2026-01-02T03:04:05.678901234Z stdout F a whole line
2026-01-02T03:04:05.678901234Z stderr P the first part of a long one
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One record: its time as written, its stream, its text, with the newline unless it is a part."""

    time: bytes
    stream: bytes
    text: bytes


def parse_line(raw: bytes) -> Line | None:
    """A record of a log file; None for what is none."""
    parts = raw.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3:
        return None
    text = parts[3] if len(parts) == 4 else b""
    partial = parts[2].split(b":", 1)[0] == b"P"
    return Line(parts[0], parts[1], text if partial else text + b"\n")


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines of a file begin."""
    if lines <= 0:
        return path.stat().st_size
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        wanted = lines
        first = True
        while position > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            block = file.read(step)
            end = len(block)
            if first and block.endswith(b"\n"):
                end -= 1  # the newline of the last line ends it, it begins none
            first = False
            while (found := block.rfind(b"\n", 0, end)) >= 0:
                wanted -= 1
                if wanted == 0:
                    return position + found + 1
                end = found
    return 0


def tail_bytes(path: Path, lines: int, limit: int) -> str:
    """The texts of the last lines, at most `limit` bytes of them; empty where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(tail_offset(path, lines))
            parsed = [parse_line(raw) for raw in file]
    except OSError:
        return ""
    text = b"".join(line.text for line in parsed if line is not None)
    return text[-limit:].decode(errors="replace")
