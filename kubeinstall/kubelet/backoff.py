"""Growing pauses by key, as upstream's `flowcontrol.Backoff`: doubling up to a cap, forgotten after twice the cap."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    pause: float
    at: float


class Backoffs:
    """Seconds; `initial` doubles at each failure up to `cap`."""

    def __init__(self, initial: float = 10.0, cap: float = 300.0) -> None:
        self.initial = initial
        self.cap = cap
        self._entries: dict[str, _Entry] = {}

    def next(self, key: str, event_at: float) -> None:
        """Another failure at `event_at` (epoch seconds)."""
        entry = self._entries.get(key)
        if entry is None or event_at - entry.at > 2 * self.cap:
            self._entries[key] = _Entry(self.initial, event_at)
        else:
            entry.pause = min(entry.pause * 2, self.cap)
            entry.at = event_at

    def waiting(self, key: str, since: float) -> float:
        """Seconds still to wait after a failure at `since`; 0 when the time has come."""
        entry = self._entries.get(key)
        if entry is None or since - entry.at > 2 * self.cap:
            return 0.0
        return max(0.0, since + entry.pause - time.time())

    def pause(self, key: str) -> float:
        """The present length of the pause."""
        entry = self._entries.get(key)
        return entry.pause if entry else 0.0

    def forget(self, prefix: str) -> None:
        """Drop the keys that begin so."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
