"""What happened to an object, and the bounded window of it that watchers can resume from."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator

from kubeinstall.errors import RevisionCompacted
from kubeinstall.storage.cache.objects import CachedObject
from kubeinstall.storage.cache.selection import Selection

WINDOW_EVENTS = 4096  # per resource
WINDOW_BYTES = 16 << 20  # of encoded objects, per resource


class WatchEvent:
    """One write to one object. `previous` is what it was before, None for a new one.

    `frames` remembers the encodings that were sent (variant → bytes), so that many watchers cost one encoding.
    """

    __slots__ = ("current", "deleted", "frames", "previous", "revision")

    def __init__(
        self, current: CachedObject, previous: CachedObject | None, *, deleted: bool
    ) -> None:
        self.current = current  # of a delete: the last state, at the revision of the delete
        self.previous = previous
        self.deleted = deleted
        self.revision = current.revision
        self.frames: dict[object, bytes] = {}

    def frame(self, variant: object, encode: Callable[[WatchEvent], bytes]) -> bytes:
        """The encoding named `variant`, made once."""
        found = self.frames.get(variant)
        if found is None:
            found = self.frames[variant] = encode(self)
        return found

    def type_for(self, selection: Selection) -> str | None:
        """ADDED, MODIFIED or DELETED as a watcher with this selection sees it; None: not at all.

        An object that begins to match is ADDED for the watcher, one that ceases to is DELETED (watch cache, KEP-365).
        """
        now = not self.deleted and matches(self.current, selection)
        before = self.previous is not None and matches(self.previous, selection)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None


def matches(item: CachedObject, selection: Selection) -> bool:
    """Whether the object is in the selection."""
    if selection.name and item.name != selection.name:
        return False
    if selection.namespace and item.namespace != selection.namespace:
        return False
    if selection.labels is not None and not selection.labels(item.labels):
        return False
    return selection.fields is None or selection.fields(item.fields)


class Window:
    """The newest events of one resource, bounded by count and bytes."""

    def __init__(self, floor: int) -> None:
        self.floor = floor  # everything after this revision is here
        self._events: deque[WatchEvent] = deque()
        self._bytes = 0

    def add(self, event: WatchEvent) -> None:
        """Append an event; the oldest go where the window overflows."""
        self._events.append(event)
        self._bytes += len(event.current.data)
        while len(self._events) > WINDOW_EVENTS or self._bytes > WINDOW_BYTES:
            oldest = self._events.popleft()
            self._bytes -= len(oldest.current.data)
            self.floor = oldest.revision

    def since(self, revision: int) -> Iterator[WatchEvent]:
        """Events after `revision`; `RevisionCompacted` when some are no longer here."""
        if revision < self.floor:
            raise RevisionCompacted(f"too old resource version: {revision} ({self.floor})")
        events = list(self._events)
        return iter(events[bisect_right(events, revision, key=lambda event: event.revision) :])
