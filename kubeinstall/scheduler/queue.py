"""Pods that wait: to be tried now, after a pause, or until something happens that may help.

Upstream's scheduling queue. *active* is ordered by priority, then age. A pod that fits nowhere waits in
*unschedulable* until an event that one of its refusing plugins cares about; it then sits out what is left of
its back-off (1 s, doubling to 10 s), unless nothing else is waiting. Bounded by the number of pods.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from kubeinstall.scheduler.pod import PodInfo

INITIAL_BACKOFF, MAX_BACKOFF = 1.0, 10.0  # seconds
#: A pod is tried again after so many seconds even if nothing seemed to help.
LEFTOVER_SECONDS, LEFTOVER_CHECK = 300.0, 30.0
#: How long (seconds, for each pod that sits out a back-off) a pod is left alone at least: with a few of them
#: an event helps at once, with thousands every event would otherwise mean thousands of tries.
_REST = 0.001

NODE_ADDED, NODE_CHANGED, POD_GONE, POD_PLACED, STORAGE, OTHER = (
    "node added", "node changed", "pod gone", "pod placed", "storage", "other",
)  # fmt: skip

#: Which plugins' refusals an event may lift; None is all.
_HELPS: dict[str, frozenset[str] | None] = {
    NODE_ADDED: None,
    OTHER: None,
    NODE_CHANGED: None,
    POD_GONE: frozenset(
        {"NodeResourcesFit", "NodePorts", "PodTopologySpread", "InterPodAffinity", "VolumeBinding"}
    ),
    POD_PLACED: frozenset({"PodTopologySpread", "InterPodAffinity"}),
    STORAGE: frozenset({"VolumeBinding"}),
}


@dataclass(slots=True)
class Waiting:
    """A pod in the queue; times are the loop's."""

    pod: PodInfo
    added: float
    attempts: int = 0
    failed_at: float = 0.0
    plugins: frozenset[str] = frozenset()
    error: bool = False
    order: int = field(default=0)

    def due(self) -> float:
        """When the back-off ends."""
        if not self.attempts:
            return 0.0
        return self.failed_at + min(INITIAL_BACKOFF * 2.0 ** (self.attempts - 1), MAX_BACKOFF)


class SchedulingQueue:
    """See the module. All methods are for the event loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._all: dict[str, Waiting] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._unschedulable: dict[str, None] = {}
        self._gated: dict[str, None] = {}
        self._ready = asyncio.Event()
        self._counter = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._leftover: asyncio.TimerHandle | None = None

    def lengths(self) -> dict[str, int]:
        """Pods by sub-queue, as upstream's metric `scheduler_pending_pods` names them."""
        waiting = len(self._unschedulable) + len(self._gated)
        backoff = sum(1 for _, order, key in self._backoff if self._current(key, order))
        return {
            "active": len(self._all) - waiting - backoff,
            "backoff": backoff,
            "unschedulable": len(self._unschedulable),
            "gated": len(self._gated),
        }

    def close(self) -> None:
        """Stop timers."""
        for timer in (self._timer, self._leftover):
            if timer is not None:
                timer.cancel()

    def add(self, pod: PodInfo) -> None:
        """A pod that wants a node appeared, or changed."""
        known = self._all.get(pod.key)
        if known is None:
            self._all[pod.key] = waiting = Waiting(pod, self._loop.time())
        else:
            waiting = known
            waiting.pod = pod
        if pod.gated:
            self._leave(pod.key)
            self._gated[pod.key] = None
            return
        if known is None or pod.key in self._gated:
            self._leave(pod.key)
            self._activate(waiting)

    def changed(self, old_shape: bytes, pod: PodInfo) -> None:
        """A waiting pod was changed by its owner: if it asks for something else now, try it again."""
        waiting = self._all.get(pod.key)
        if waiting is None or pod.gated or pod.key in self._gated:
            self.add(pod)
            return
        waiting.pod = pod
        if old_shape != pod.shape and pod.key in self._unschedulable:
            self._move(pod.key)

    def remove(self, key: str) -> None:
        """The pod is gone, or has a node."""
        if self._all.pop(key, None) is not None:
            self._leave(key)

    def failed(self, waiting: Waiting, plugins: set[str]) -> None:
        """The pod fits nowhere; `plugins` refused it."""
        waiting.plugins = frozenset(plugins)
        waiting.error = False
        self._count_failure(waiting)
        self._unschedulable[waiting.pod.key] = None
        if self._leftover is None:
            self._leftover = self._loop.call_later(LEFTOVER_CHECK, self._flush_leftover)

    def errored(self, waiting: Waiting) -> None:
        """Something went wrong on our side: try again after the back-off."""
        waiting.error = True
        self._count_failure(waiting)
        self._wait(waiting)

    def happened(self, event: str) -> None:
        """Something changed in the cluster: move the pods that it may help."""
        if not self._unschedulable:
            return
        helped = _HELPS[event]
        for key in list(self._unschedulable):
            plugins = self._all[key].plugins
            if helped is None or not plugins or plugins & helped:
                self._move(key)

    def activate(self, key: str) -> None:
        """Try a waiting pod at once, whatever its back-off (its victims are gone)."""
        if key in self._unschedulable:
            self._leave(key)
            self._activate(self._all[key])

    async def pop(self) -> Waiting:
        """The next pod to try; it is in no sub-queue until `failed`, `errored` or `remove`."""
        while True:
            waiting = self._next()
            if waiting is not None:
                return waiting
            self._ready.clear()
            await self._ready.wait()

    def known(self, key: str) -> bool:
        """Whether the pod is still wanted."""
        return key in self._all

    # Inside. A pod's `order` is renewed whenever it moves; heap entries with an older one are dead.

    def _next(self) -> Waiting | None:
        while self._active:
            _, _, order, key = heapq.heappop(self._active)
            if self._current(key, order):
                return self._taken(key)
        # Nothing else to do: those that merely sit out a back-off may as well be tried now.
        kept: list[tuple[float, int, str]] = []
        found: Waiting | None = None
        rested = self._loop.time() - len(self._backoff) * _REST
        while self._backoff and found is None:
            entry = heapq.heappop(self._backoff)
            if not self._current(entry[2], entry[1]):
                continue
            waiting = self._all[entry[2]]
            if not waiting.error and waiting.failed_at <= rested:
                found = self._taken(entry[2])
                continue
            kept.append(entry)
            if not waiting.error:
                break
        for entry in kept:
            heapq.heappush(self._backoff, entry)
        return found

    def _taken(self, key: str) -> Waiting:
        waiting = self._all[key]
        waiting.order = 0
        return waiting

    def _current(self, key: str, order: int) -> bool:
        waiting = self._all.get(key)
        return waiting is not None and waiting.order == order

    def _count_failure(self, waiting: Waiting) -> None:
        waiting.attempts += 1
        waiting.failed_at = self._loop.time()

    def _leave(self, key: str) -> None:
        self._unschedulable.pop(key, None)
        self._gated.pop(key, None)
        waiting = self._all.get(key)
        if waiting is not None:
            waiting.order = 0

    def _move(self, key: str) -> None:
        waiting = self._all[key]
        self._leave(key)
        if waiting.due() <= self._loop.time():
            self._activate(waiting)
        else:
            self._wait(waiting)

    def _activate(self, waiting: Waiting) -> None:
        waiting.order = next(self._counter)
        entry = (-waiting.pod.priority, waiting.added, waiting.order, waiting.pod.key)
        heapq.heappush(self._active, entry)
        self._ready.set()

    def _wait(self, waiting: Waiting) -> None:
        waiting.order = next(self._counter)
        heapq.heappush(self._backoff, (waiting.due(), waiting.order, waiting.pod.key))
        if not waiting.error:
            self._ready.set()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._backoff:
            self._timer = self._loop.call_at(self._backoff[0][0] + 0.001, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._backoff and self._backoff[0][0] <= now:
            _, order, key = heapq.heappop(self._backoff)
            if self._current(key, order):
                self._activate(self._all[key])
        self._arm()

    def _flush_leftover(self) -> None:
        self._leftover = None
        limit = self._loop.time() - LEFTOVER_SECONDS
        for key in list(self._unschedulable):
            if self._all[key].failed_at <= limit:
                self._move(key)
        if self._unschedulable:
            self._leftover = self._loop.call_later(LEFTOVER_CHECK, self._flush_leftover)
