"""Indexes of one resource's objects: sorted keys, and key=value pairs of labels and fields."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping

from kubeinstall.storage.cache.objects import CachedObject


class KeyOrder:
    """Keys in the order in which a LIST shows them."""

    def __init__(self) -> None:
        self._keys: list[str] = []

    def load(self, keys: Iterable[str]) -> None:
        """Start from many keys at once."""
        self._keys = sorted(keys)

    def add(self, key: str) -> None:
        """Insert a key that is not there."""
        insort(self._keys, key)

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        del self._keys[bisect_left(self._keys, key)]

    def below(self, namespace: str, start: str = "") -> list[str]:
        """Keys of a namespace ("" for all), from `start` on."""
        keys = self._keys
        if not namespace:
            return keys[bisect_left(keys, start) :] if start else keys
        low = bisect_left(keys, max(f"{namespace}/", start))
        return keys[low : bisect_left(keys, f"{namespace}0")]  # "0" is the character after "/"


class PairIndex:
    """(key, value) → object keys. Built when a reader first asks, kept current from then on."""

    def __init__(self, *, fields: bool) -> None:
        self._fields = fields
        self._pairs: dict[tuple[str, str], set[str]] | None = None

    def find(self, pair: tuple[str, str], objects: Mapping[str, CachedObject]) -> Collection[str]:
        """Keys of the objects that have the pair, in no order."""
        if self._pairs is None:
            self._pairs = {}
            for item in objects.values():
                self._enter(item)
        return self._pairs.get(pair, ())

    def replace(self, old: CachedObject | None, new: CachedObject | None) -> None:
        """Follow a write."""
        if self._pairs is None:
            return
        if old is not None:
            self._leave(old)
        if new is not None:
            self._enter(new)

    def _enter(self, item: CachedObject) -> None:
        pairs = self._pairs
        if pairs is not None:
            for pair in self._of(item).items():
                pairs.setdefault(pair, set()).add(item.key)

    def _leave(self, item: CachedObject) -> None:
        pairs = self._pairs
        if pairs is None:
            return
        for pair in self._of(item).items():
            keys = pairs.get(pair)
            if keys is not None:
                keys.discard(item.key)
                if not keys:
                    del pairs[pair]

    def _of(self, item: CachedObject) -> Mapping[str, str]:
        return item.fields if self._fields else item.labels
