"""Priority levels: seats, and queues in front of them.

A level has `nominal` seats. While others leave lendable ones idle it may take more. What finds no seat waits in one of
the level's queues: each flow is dealt a hand of them (shuffle sharding) and takes the shortest, so that a flow that
floods its own queues leaves most others free; queues are served in turn.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable

from kubeinstall.api.types import Object


class Rejected(Exception):
    """There is no seat, and no place to wait for one; `reason` as upstream's metric names it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Level:
    """A PriorityLevelConfiguration. `spare` says how many seats may be borrowed from other levels now."""

    def __init__(self, name: str, spare: Callable[[Level], int]) -> None:
        self.name = name
        self.uid = ""
        self.exempt = False
        self.nominal = 0
        self.lendable = 0
        self.borrowing: int | None = None
        self.executing = 0
        self.waiting = 0
        self.dispatched = 0
        self.rejected = 0
        self._spare = spare
        self._length = 0
        self._hand = 0
        self._count = 0
        self._queues: list[deque[asyncio.Future[None]]] = []
        self._turn: deque[int] = deque()

    def configure(self, obj: Object, nominal: int) -> None:
        """Take over what the object says; who waits goes on waiting."""
        spec = obj.get("spec") or {}
        self.uid = obj["metadata"].get("uid", "")
        self.exempt = spec.get("type") == "Exempt"
        own = spec.get("exempt" if self.exempt else "limited") or {}
        self.nominal = nominal
        self.lendable = nominal * (own.get("lendablePercent") or 0) // 100
        limit = own.get("borrowingLimitPercent")
        self.borrowing = None if limit is None else nominal * limit // 100
        response = own.get("limitResponse") or {}
        queuing = (response.get("queuing") or {}) if response.get("type") == "Queue" else {}
        count = queuing.get("queues") or (64 if response.get("type") == "Queue" else 0)
        self._length = queuing.get("queueLengthLimit") or 50
        self._hand = min(queuing.get("handSize") or 8, count)
        while len(self._queues) < count:
            self._queues.append(deque())
        self._count = count
        self.serve()

    def take(self) -> bool:
        """Take a seat if one is free and nobody waits."""
        if not self.exempt and (self.waiting or not self._free()):
            return False
        self.executing += 1
        self.dispatched += 1
        return True

    def leave(self) -> None:
        """Give the seat back; who waits longest in the next queue gets it."""
        self.executing -= 1
        if self.waiting:
            self.serve()

    async def wait(self, flow: str, seconds: float) -> None:
        """Wait for a seat. Raises `Rejected` where the queues of the flow are full, or after `seconds`."""
        if not self._count:
            self.rejected += 1
            raise Rejected("concurrency-limit")
        number = min(self._dealt(flow), key=lambda one: len(self._queues[one]))
        queue = self._queues[number]
        if len(queue) >= self._length:
            self.rejected += 1
            raise Rejected("queue-full")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not queue:
            self._turn.append(number)
        queue.append(future)
        self.waiting += 1
        self.serve()
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError as error:
            self._forget(future, queue, number)
            self.rejected += 1
            raise Rejected("time-out") from error
        except asyncio.CancelledError:
            self._forget(future, queue, number)
            raise

    def serve(self) -> None:
        """Give free seats to who waits, one queue after the other."""
        while self.waiting and (self.exempt or self._free()):
            number = self._turn.popleft()
            queue = self._queues[number]
            future = queue.popleft()
            self.waiting -= 1
            if queue:
                self._turn.append(number)
            if not future.done():
                self.executing += 1
                self.dispatched += 1
                future.set_result(None)

    def _free(self) -> bool:
        if self.executing < self.nominal:
            return True
        spare = self._spare(self)
        if self.borrowing is not None:
            spare = min(spare, self.borrowing)
        return self.executing < self.nominal + spare

    def _forget(
        self, future: asyncio.Future[None], queue: deque[asyncio.Future[None]], number: int
    ) -> None:
        if future.done() and not future.cancelled():
            self.leave()  # the seat came at the same moment
            return
        if future in queue:
            queue.remove(future)
            self.waiting -= 1
            if not queue:
                self._turn.remove(number)

    def _dealt(self, flow: str) -> list[int]:
        """The flow's hand: as many different queues as the hand has, always the same."""
        value = int.from_bytes(hashlib.sha256(f"{self.name} {flow}".encode()).digest()[:16])
        left = list(range(self._count))
        hand = []
        for _ in range(self._hand):
            value, index = divmod(value, len(left))
            hand.append(left.pop(index))
        return hand
