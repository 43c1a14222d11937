"""Which rises of a quota's usage came from other API servers, and how long ago.

A server knows what it admitted itself. Of what another admitted it sees that `status.used` rose, and the object only
later: until then, a count of what exists is too small.
"""

from __future__ import annotations

import time
from collections import deque

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object

#: Rises and own writes remembered; more in the time that they matter than any namespace has.
_LIMIT = 4096
_ZERO = Quantity.parse("0")


class Raises:
    """Rises of the last seconds, of all quotas."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long a rise by another server keeps a count from being trusted."""
        self._seconds = seconds
        self._seen: deque[tuple[float, str, str, str]] = deque(maxlen=_LIMIT)
        self._ours: deque[str] = deque(maxlen=_LIMIT)

    def seen(self, old: Object, new: Object) -> None:
        """A quota changed, by whomever."""
        before = (old.get("status") or {}).get("used") or {}
        after = (new.get("status") or {}).get("used") or {}
        rose = any(
            amount in before and _quantity(value) > _quantity(before[amount])
            for amount, value in after.items()
        )
        if rose:
            metadata = new["metadata"]
            entry = (metadata["namespace"], metadata["name"], metadata["resourceVersion"])
            self._seen.append((time.monotonic(), *entry))

    def ours(self, written: Object) -> None:
        """This server wrote a quota, or found nothing to write: the version is no other server's rise."""
        self._ours.append(written["metadata"]["resourceVersion"])

    def landed(self, namespace: str, name: str) -> None:
        """An object that another server admitted is there: the oldest rise by others was its."""
        own = set(self._ours)
        for entry in self._seen:
            if entry[1:3] == (namespace, name) and entry[3] not in own:
                self._seen.remove(entry)
                return

    def wait(self, namespace: str, name: str) -> float:
        """Seconds until a count of what a quota uses can be trusted; 0 when it can be now."""
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] >= self._seconds:
            self._seen.popleft()
        own = set(self._ours)
        times = [
            at
            for at, home, quota, version in self._seen
            if (home, quota) == (namespace, name) and version not in own
        ]
        return max(0.0, times[-1] + self._seconds - now) if times else 0.0


def _quantity(text: str) -> Quantity:
    try:
        return Quantity.parse(text)
    except ValueError:
        return _ZERO
