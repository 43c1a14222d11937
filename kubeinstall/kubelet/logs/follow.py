"""Serving a container's log with kubectl's options."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.kubelet.logs.read import Line, parse_line, tail_offset

_POLL_SECONDS = 0.1
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """PodLogOptions. `since` is RFC 3339 with nanoseconds, comparable as text; None is unlimited."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: bytes = b""
    stream: str = "All"


async def read_log(
    path: Path, options: LogOptions, alive: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Chunks of text; with `follow` until `alive()` says that nothing will be written any more."""
    left = options.limit_bytes
    tail = options.tail_lines if not options.since and options.stream == "All" else None
    offset = tail_offset(path, tail) if tail is not None else 0
    async for lines in _batches(path, offset, follow=options.follow, alive=alive):
        kept = [line for line in lines if _wanted(line, options)]
        if tail is None and options.tail_lines is not None and not options.follow:
            kept = kept[-options.tail_lines :] if options.tail_lines else []
        text = b"".join(_show(line, options) for line in kept)
        if left is not None:
            text = text[:left]
            left -= len(text)
        if text:
            yield text
        if left == 0:
            return


def _wanted(line: Line, options: LogOptions) -> bool:
    if options.since and line.time < options.since:
        return False
    return options.stream in ("", "All") or line.stream == options.stream.lower().encode()


def _show(line: Line, options: LogOptions) -> bytes:
    return line.time + b" " + line.text if options.timestamps else line.text


async def _batches(
    path: Path, offset: int, *, follow: bool, alive: Callable[[], bool]
) -> AsyncIterator[list[Line]]:
    """Whole lines as they come; a rotated file is read to its end, then the new one from its start.

    Without `follow` all lines come in one batch per file size read, tails being cut by the caller.
    """
    rest = b""
    file = path.open("rb")
    try:
        file.seek(offset)
        while True:
            was_alive = alive() if follow else False
            data = file.read(_CHUNK) if follow else file.read()
            if data:
                rest, lines = _split(rest + data)
                if lines:
                    yield lines
                continue
            if not follow:
                break
            fresh = _reopened(path, file.fileno())
            if fresh is not None:
                file.close()
                file = fresh
                continue
            if not was_alive:
                break
            await asyncio.sleep(_POLL_SECONDS)
        if rest:
            last = parse_line(rest)
            if last is not None:
                yield [last]
    finally:
        file.close()


def _split(data: bytes) -> tuple[bytes, list[Line]]:
    head, newline, rest = data.rpartition(b"\n")
    if not newline:
        return data, []
    return rest, [line for raw in head.split(b"\n") if (line := parse_line(raw)) is not None]


def _reopened(path: Path, handle: int):  # type: ignore[no-untyped-def]  # an open binary file or None
    try:
        now = path.stat()
    except OSError:
        return None
    if now.st_ino == os.fstat(handle).st_ino:
        return None
    return path.open("rb")
