"""Cuts a byte stream into lines without copying a long line more than once."""

from __future__ import annotations

#: Objects are limited to about 3 MB by the API server; a longer line means that we lost the framing.
MAX_LINE_BYTES = 64 * 1024 * 1024


class LineSplitter:
    """Feed it chunks, get whole lines; ValueError when a line exceeds `MAX_LINE_BYTES`."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their newline; empty lines are skipped."""
        pieces = chunk.split(b"\n")
        rest = pieces.pop()
        if pieces and self._parts:
            self._parts.append(pieces[0])
            pieces[0] = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE_BYTES:
                raise ValueError(f"a line of the stream is longer than {MAX_LINE_BYTES} bytes")
        return [piece for piece in pieces if piece]
