"""Exponential back-off with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Delays `base`, `base * 2`, … up to `cap` seconds, each lengthened by up to `jitter` of it."""

    __slots__ = ("_base", "_cap", "_jitter", "_tries")

    def __init__(self, base: float = 0.2, cap: float = 30.0, jitter: float = 0.5) -> None:
        self._base = base
        self._cap = cap
        self._jitter = jitter
        self._tries = 0

    def next(self) -> float:
        """The seconds to wait before the next try."""
        delay = min(self._cap, self._base * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return delay * (1 + random.random() * self._jitter)  # noqa: S311 - spreads load, no secret

    def reset(self) -> None:
        """Start again at `base`: the last try worked."""
        self._tries = 0
