"""What a controller has asked for and not yet seen in its informer.

A controller that creates three pods must not, on the next event, count the pods in a cache that has
not seen them and create three more. As upstream's ControllerExpectations: they are met by watch
events, or expire after five minutes so that a lost event cannot stop a controller for ever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

EXPIRY_SECONDS = 300.0


@dataclass(slots=True)
class _Expected:
    creations: int = 0
    deletions: set[str] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)


class Expectations:
    """Per controller key: how many creations, and which deletions by UID, are still to be seen."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Expected] = {}

    def satisfied(self, key: str) -> bool:
        """True when everything asked for was seen, or was asked too long ago."""
        expected = self._by_key.get(key)
        if expected is None:
            return True
        if expected.creations <= 0 and not expected.deletions:
            return True
        return time.monotonic() - expected.since > EXPIRY_SECONDS

    def expect_creations(self, key: str, count: int) -> None:
        """`count` creations are about to be asked for."""
        self._entry(key).creations += count

    def expect_deletions(self, key: str, uids: list[str]) -> None:
        """These objects are about to be deleted."""
        self._entry(key).deletions.update(uids)

    def created(self, key: str, count: int = 1) -> None:
        """A creation was seen, or failed."""
        expected = self._by_key.get(key)
        if expected is not None and expected.creations > 0:
            expected.creations = max(0, expected.creations - count)

    def deleted(self, key: str, uid: str) -> None:
        """A deletion was seen, or failed."""
        expected = self._by_key.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def forget(self, key: str) -> None:
        """The controller object is gone."""
        self._by_key.pop(key, None)

    def _entry(self, key: str) -> _Expected:
        expected = self._by_key.get(key)
        if expected is None or self.satisfied(key):
            expected = self._by_key[key] = _Expected()
        return expected
