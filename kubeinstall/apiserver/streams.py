"""All running watches: their bookmarks, their number, and their end when the server stops."""

from __future__ import annotations

import asyncio
from typing import Protocol

#: Upstream's frequency, seconds.
_BOOKMARK_PERIOD = 60.0


class Stream(Protocol):
    """A running watch."""

    def bookmark(self) -> None:
        """Tell the client how far the stream has come, if it asked to be told."""

    def end(self) -> None:
        """Finish in order: the client starts a new one."""


class Streams:
    """The set of running watches."""

    def __init__(self, period: float = _BOOKMARK_PERIOD) -> None:
        """`period`: seconds between bookmarks."""
        self._period = period
        self._streams: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: Stream) -> None:
        """A watch began."""
        self._streams.add(stream)

    def remove(self, stream: Stream) -> None:
        """A watch ended."""
        self._streams.discard(stream)

    async def run(self) -> None:
        """Send bookmarks until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            for stream in list(self._streams):
                stream.bookmark()

    async def end_all(self, seconds: float = 0.0) -> None:
        """End every watch, so that connections become idle and can close; spread over `seconds`, so
        that clients do not all start anew at once."""
        streams = list(self._streams)
        for number, stream in enumerate(streams):
            stream.end()
            if seconds > 0 and number + 1 < len(streams):
                await asyncio.sleep(seconds / len(streams))
        for stream in list(self._streams):  # those that began meanwhile
            stream.end()
