"""Order, back-off, and who is woken by what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.queue import NODE_ADDED, POD_GONE, POD_PLACED, SchedulingQueue
from tests.unit.scheduler.cluster import Cluster

CLUSTER = Cluster()


@pytest.fixture
async def queue() -> AsyncIterator[SchedulingQueue]:
    made = SchedulingQueue()
    yield made
    made.close()


async def soon(queue: SchedulingQueue, seconds: float = 0.05) -> str | None:
    try:
        return (await asyncio.wait_for(queue.pop(), seconds)).pod.name
    except TimeoutError:
        return None


def pod(name: str, priority: int = 0, **spec: Any) -> PodInfo:
    return CLUSTER.pod(name, priority=priority, **spec)


async def test_priority_then_age(queue: SchedulingQueue) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.add(pod(name, priority))
    assert [await soon(queue) for _ in range(4)] == ["b", "d", "a", "c"]
    assert await soon(queue) is None


async def test_gates(queue: SchedulingQueue) -> None:
    queue.add(pod("a", schedulingGates=[{"name": "g"}]))
    assert await soon(queue) is None
    assert queue.lengths()["gated"] == 1
    queue.add(pod("a"))
    assert await soon(queue) == "a"


async def test_only_events_that_may_help_wake_a_pod(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    waiting = await queue.pop()
    queue.failed(waiting, {"NodeResourcesFit"})
    assert queue.lengths()["unschedulable"] == 1
    queue.happened(POD_PLACED)
    assert await soon(queue) is None
    queue.happened(POD_GONE)
    # It still has to sit out its second, but nothing else is waiting.
    assert await soon(queue) == "a"
    queue.failed(waiting, {"NodeAffinity"})
    queue.happened(POD_GONE)
    assert await soon(queue) is None
    queue.happened(NODE_ADDED)
    assert await soon(queue) == "a"


async def test_errors_sit_out_their_back_off(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    waiting = await queue.pop()
    queue.errored(waiting)
    assert await soon(queue, 0.3) is None
    assert await soon(queue, 1.5) == "a"


async def test_removed_pods_do_not_come_back(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    queue.remove("default/a")
    assert await soon(queue) is None
    queue.add(pod("a"))
    waiting = await queue.pop()
    queue.failed(waiting, set())
    queue.remove("default/a")
    queue.happened(NODE_ADDED)
    assert await soon(queue) is None
    assert queue.lengths() == {"active": 0, "backoff": 0, "unschedulable": 0, "gated": 0}


async def test_thousands_are_not_tried_at_every_event(queue: SchedulingQueue) -> None:
    for number in range(500):
        queue.add(pod(f"p{number}"))
    for _ in range(500):
        queue.failed(await queue.pop(), {"NodeResourcesFit"})
    queue.happened(POD_GONE)
    assert await soon(queue) is None
    assert await soon(queue, 1.5) is not None
