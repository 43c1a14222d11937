"""A queue of keys: each key is worked on by one worker at a time, and is queued at most once.

The contract of upstream's client-go work queue: a key added while it is being worked on is worked
on again afterwards; a key that failed comes back after a delay that doubles with each failure.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from kubeinstall.client.metrics import QueueMetrics
from kubeinstall.client.status import Unreachable
from kubeinstall.errors import AlreadyExists, Conflict, NotFound, StatusError

log = structlog.get_logger("workqueue")

#: Does the work for one key; a number asks to be called again after so many seconds.
Reconcile = Callable[[str], Awaitable[float | None]]

BASE_SECONDS = 0.005
CAP_SECONDS = 60.0


class WorkQueue:
    """A de-duplicating queue with delays and per-key exponential back-off.

    Bounded by the number of distinct keys, that is of objects.
    """

    def __init__(
        self,
        name: str,
        *,
        base: float = BASE_SECONDS,
        cap: float = CAP_SECONDS,
        metrics: QueueMetrics | None = None,
    ) -> None:
        self.name = name
        self._base = base
        self._cap = cap
        self._queue: deque[str] = deque()
        self._dirty: dict[str, float] = {}
        self._processing: set[str] = set()
        self._failures: dict[str, int] = {}
        self._waiting: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._getters: deque[asyncio.Future[None]] = deque()
        self._metrics = metrics

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, key: str) -> None:
        """Queue the key, unless it is queued already."""
        if key in self._dirty:
            return
        self._dirty[key] = time.monotonic()
        if self._metrics:
            self._metrics.adds.labels(self.name).inc()
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Queue the key after `seconds`; of two such wishes for a key the sooner one counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = asyncio.get_running_loop().time() + seconds
        known = self._waiting.get(key)
        if known is not None and known <= due:
            return
        self._waiting[key] = due
        heapq.heappush(self._heap, (due, key))
        if self._heap[0] == (due, key):
            self._arm()

    def add_rate_limited(self, key: str) -> None:
        """Queue the key after its back-off, which doubles with each call until `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if self._metrics:
            self._metrics.retries.labels(self.name).inc()
        self.add_after(key, min(self._cap, self._base * 2.0 ** min(failures, 40)))

    def forget(self, key: str) -> None:
        """The key's work succeeded: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    async def get(self) -> str:
        """The next key; call `done` when its work is over."""
        while not self._queue:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter in self._getters:
                    self._getters.remove(getter)
                elif self._queue:
                    self._wake()
                raise
        key = self._queue.popleft()
        queued_at = self._dirty.pop(key)
        self._processing.add(key)
        if self._metrics:
            self._metrics.depth.labels(self.name).set(len(self._queue))
            self._metrics.waited.labels(self.name).observe(time.monotonic() - queued_at)
        return key

    def done(self, key: str) -> None:
        """The worker has finished with the key; it is queued again if it was added meanwhile."""
        self._processing.discard(key)
        if key in self._dirty:
            self._push(key)

    async def run(self, reconcile: Reconcile, workers: int = 1) -> None:
        """Work through the queue with so many workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(reconcile), name=f"{self.name} worker {number}")

    async def _work(self, reconcile: Reconcile) -> None:
        while True:
            key = await self.get()
            started = time.monotonic()
            try:
                again = await reconcile(key)
            except asyncio.CancelledError:
                raise
            except (Conflict, AlreadyExists, NotFound, Unreachable) as error:
                # Somebody else was faster, or the server is restarting: everyday, not worth noise.
                log.debug("will retry", queue=self.name, key=key, error=str(error))
                self.add_rate_limited(key)
            except StatusError as error:
                log.warning("will retry", queue=self.name, key=key, error=str(error))
                self.add_rate_limited(key)
            except Exception:
                # A bad object must not stop the work on others.
                log.exception("reconciling failed", queue=self.name, key=key)
                self.add_rate_limited(key)
            else:
                self.forget(key)
                if again is not None:
                    self.add_after(key, again)
            finally:
                self.done(key)
                if self._metrics:
                    self._metrics.worked.labels(self.name).observe(time.monotonic() - started)

    def _push(self, key: str) -> None:
        self._queue.append(key)
        if self._metrics:
            self._metrics.depth.labels(self.name).set(len(self._queue))
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        # A millisecond of slack: loop timers may fire a hair early.
        now = asyncio.get_running_loop().time() + 0.001
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._waiting.get(key) == due:
                del self._waiting[key]
                self.add(key)
        self._timer = None
        self._arm()
