"""The watch cache of one resource: current objects, an event window, and watchers that are called as writes happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubeinstall.storage.cache.events import WatchEvent, Window, matches
from kubeinstall.storage.cache.index import KeyOrder, PairIndex
from kubeinstall.storage.cache.objects import CachedObject, FieldsOf
from kubeinstall.storage.cache.selection import ALL, Selection
from kubeinstall.storage.store import KeyValue, StoreEvent

#: Called for each event that concerns a watcher: its type (ADDED, MODIFIED, DELETED) and the event.
#: It must not block and must not raise: a watcher that cannot keep up cancels itself.
Sink = Callable[[str, WatchEvent], None]


class Subscription:
    """A watcher's place in a cache; `cancel()` ends it."""

    __slots__ = ("_cache", "selection", "sink")

    def __init__(self, cache: ResourceCache, selection: Selection, sink: Sink) -> None:
        self._cache = cache
        self.selection = selection
        self.sink = sink

    def cancel(self) -> None:
        """Stop being called; may be said twice, and from within the sink."""
        self._cache.unsubscribe(self)


class ResourceCache:
    """Objects of one resource. Everything here runs on the event loop and never waits."""

    def __init__(self, prefix: str, fields_of: FieldsOf, floor: int) -> None:
        self.prefix = prefix  # "/registry/core/pods/"
        self.revision = floor  # of the newest event seen
        self._fields_of = fields_of
        self._objects: dict[str, CachedObject] = {}
        self._order = KeyOrder()
        self._labels = PairIndex(fields=False)
        self._fields = PairIndex(fields=True)
        self._window = Window(floor)
        self._subscriptions: dict[Subscription, None] = {}

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def oldest_revision(self) -> int:
        """A watch may start after this revision and any newer one."""
        return self._window.floor

    def get(self, key: str) -> CachedObject | None:
        """The object with this key ("namespace/name" or "name")."""
        return self._objects.get(key)

    def select(self, selection: Selection = ALL, *, start: str = "") -> Iterator[CachedObject]:
        """Objects in the selection, in key order, from the key `start` on."""
        objects = self._objects
        if selection.name:
            return self._one(selection)
        if selection.everything:
            return iter([objects[key] for key in self._order.below(selection.namespace, start)])
        keys = self._candidates(selection, start)
        return (objects[key] for key in keys if matches(objects[key], selection))

    def count(self, selection: Selection = ALL) -> int:
        """How many objects are in the selection."""
        if selection.everything and not selection.name:
            return len(self._order.below(selection.namespace))
        return sum(1 for _ in self.select(selection))

    def events_since(self, revision: int) -> Iterator[WatchEvent]:
        """Events after `revision`, oldest first; `RevisionCompacted` when the window no longer has them all."""
        return self._window.since(revision)

    def subscribe(self, selection: Selection, sink: Sink) -> Subscription:
        """Call `sink` for every event from now on. No event is lost between `events_since` or `select` and this call as
        long as nothing is awaited between them."""
        subscription = Subscription(self, selection, sink)
        self._subscriptions[subscription] = None
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """See `Subscription.cancel`."""
        self._subscriptions.pop(subscription, None)

    def watchers(self) -> int:
        """How many watchers there are."""
        return len(self._subscriptions)

    def load(self, items: Iterable[KeyValue]) -> None:
        """Start from what the store holds."""
        cut = len(self.prefix)
        for item in items:
            key = item.key[cut:]
            self._objects[key] = self._cached(
                key, item.value, item.mod_revision, item.create_revision
            )
        self._order.load(self._objects)

    def replay(self, event: StoreEvent) -> None:
        """Put an event from before `load`'s revision into the window, oldest first."""
        key = event.key[len(self.prefix) :]
        previous = None
        if event.previous is not None:
            # The revision that the old body had is not known here; nothing but selectors looks at `previous`.
            previous = self._cached(key, event.previous, event.revision, event.create_revision)
        body = event.value if event.value is not None else event.previous
        if body is None:
            return
        current = self._cached(key, body, event.revision, event.create_revision)
        self._window.add(WatchEvent(current, previous, deleted=event.value is None))
        self.revision = event.revision

    def forget_history(self, floor: int) -> None:
        """Let watchers start only after revision `floor`."""
        self._window = Window(floor)
        self.revision = floor

    def apply(self, event: StoreEvent) -> None:
        """Follow a write and tell the watchers."""
        key = event.key[len(self.prefix) :]
        previous = self._objects.get(key)
        self.revision = event.revision
        if event.value is None:
            if previous is None:
                return
            current = previous.at(event.revision)
            del self._objects[key]
            self._order.remove(key)
            self._reindex(previous, None)
        else:
            current = self._cached(key, event.value, event.revision, event.create_revision)
            if previous is None:
                self._order.add(key)
            self._objects[key] = current
            self._reindex(previous, current)
        watch_event = WatchEvent(current, previous, deleted=event.value is None)
        self._window.add(watch_event)
        self._tell(watch_event)

    def _tell(self, event: WatchEvent) -> None:
        plain: str | None = None
        for subscription in list(self._subscriptions):
            selection = subscription.selection
            if selection is ALL:  # most watchers want everything: decide once for all of them
                plain = kind = plain or event.type_for(ALL)
            else:
                kind = event.type_for(selection)
            if kind is not None:
                subscription.sink(kind, event)
        # Whoever watches has it now. Kept, the frames would double what the window costs.
        event.frames.clear()

    def _cached(self, key: str, body: bytes, revision: int, create_revision: int) -> CachedObject:
        return CachedObject(key, body, revision, create_revision, self._fields_of)

    def _reindex(self, old: CachedObject | None, new: CachedObject | None) -> None:
        self._labels.replace(old, new)
        self._fields.replace(old, new)

    def _one(self, selection: Selection) -> Iterator[CachedObject]:
        key = f"{selection.namespace}/{selection.name}" if selection.namespace else selection.name
        item = self._objects.get(key)
        if item is not None:
            return iter([item] if matches(item, selection) else [])
        return iter([item for item in self._objects.values() if matches(item, selection)])

    def _candidates(self, selection: Selection, start: str) -> Iterable[str]:
        """Keys to look at, in order: the smallest index entry where an equality is asked for, else the range."""
        found = [self._fields.find(pair, self._objects) for pair in selection.field_equals]
        found += [self._labels.find(pair, self._objects) for pair in selection.label_equals]
        if not found:
            return self._order.below(selection.namespace, start)
        return sorted(key for key in min(found, key=len) if key >= start)
