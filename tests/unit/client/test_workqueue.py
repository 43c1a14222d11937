"""The contract of the work queue."""

from __future__ import annotations

import asyncio

from kubeinstall.client import Expectations, WorkQueue


async def test_a_key_is_worked_on_by_one_worker_and_again_if_added_meanwhile() -> None:
    queue = WorkQueue("t")
    running: set[str] = set()
    log: list[str] = []
    release = asyncio.Event()

    async def work(key: str) -> None:
        assert key not in running
        running.add(key)
        log.append(key)
        await release.wait()
        running.discard(key)

    task = asyncio.create_task(queue.run(work, workers=4))
    for key in ("a", "a", "b"):
        queue.add(key)
    await asyncio.sleep(0.01)
    queue.add("a")
    queue.add("a")
    assert sorted(log) == ["a", "b"]
    release.set()
    await asyncio.sleep(0.01)
    assert sorted(log) == ["a", "a", "b"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_failures_back_off_and_success_forgets() -> None:
    queue = WorkQueue("t", base=0.001, cap=0.002)
    tries = 0
    done = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            assert queue.failures(key) == tries - 1
            raise RuntimeError("not yet")
        done.set()

    task = asyncio.create_task(queue.run(work))
    queue.add("a")
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.sleep(0)
    assert queue.failures("a") == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_add_after_takes_the_sooner_wish() -> None:
    queue = WorkQueue("t")
    queue.add_after("late", 60)
    queue.add_after("late", 0.02)
    queue.add_after("soon", 0.01)
    assert await asyncio.wait_for(queue.get(), 5) == "soon"
    assert await asyncio.wait_for(queue.get(), 5) == "late"
    assert len(queue) == 0


def test_expectations() -> None:
    expected = Expectations()
    assert expected.satisfied("k")
    expected.expect_creations("k", 2)
    expected.created("k")
    assert not expected.satisfied("k")
    expected.created("k")
    assert expected.satisfied("k")
    expected.expect_deletions("k", ["u"])
    expected.deleted("k", "other")
    assert not expected.satisfied("k")
    expected.deleted("k", "u")
    assert expected.satisfied("k")
