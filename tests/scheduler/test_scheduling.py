"""From a pod without a node to a pod with one, over a real API server."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.scheduler.bench import PODS, World, running, until
from tests.support.apiserver import RunningServer

_NUMBERS = itertools.count(1)


@pytest.fixture
async def world(api_server: RunningServer) -> AsyncIterator[World]:
    async with api_server.client() as client:
        made = World(client, f"sched-{next(_NUMBERS)}")
        await made.open()
        try:
            yield made
        finally:
            await made.close()


async def test_a_pod_gets_a_node_an_event_and_a_condition(
    world: World, api_server: RunningServer
) -> None:
    async with running(api_server):
        await world.node("n1")
        await world.pod("a")
        assert await world.placed("a") == "n1"
        condition = await world.condition("a")
        assert condition["status"] == "True"
        (event,) = await world.events("a", "Scheduled")
        assert event["message"] == f"Successfully assigned {world.namespace}/a to n1"
        assert event["source"]["component"] == "default-scheduler"


async def test_an_idle_scheduler_binds_at_once(world: World, api_server: RunningServer) -> None:
    async with running(api_server):
        await world.node("n1")
        await world.pod("warm")
        await world.placed("warm")
        delays = []
        for number in range(5):
            bound = asyncio.Event()

            async def watch(name: str, bound: asyncio.Event = bound) -> None:
                selector = f"metadata.name={name}"
                events = world.client.watch(PODS, world.namespace, field_selector=selector)
                async for _, pod in events:
                    if pod["spec"].get("nodeName"):
                        bound.set()
                        return

            watcher = asyncio.create_task(watch(f"p{number}"))
            await asyncio.sleep(0.1)
            started = time.perf_counter()
            await world.pod(f"p{number}")
            await asyncio.wait_for(bound.wait(), 5)
            delays.append(time.perf_counter() - started)
            await watcher
        print("create to bound, ms:", [round(delay * 1000, 1) for delay in delays])
        # A generous limit: this must only notice a pause, such as a polling interval.
        assert min(delays) < 0.25


async def test_why_not_and_then_a_node_comes(world: World, api_server: RunningServer) -> None:
    async with running(api_server):
        await world.node("n1", cpu="1")
        await world.pod("big", cpu="2")
        condition = await world.condition("big")
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
            "1 Preemption is not helpful for scheduling."
        )
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == message
        (event,) = await world.events("big", "FailedScheduling")
        assert (event["type"], event["message"]) == ("Warning", message)
        await world.node("n2", cpu="4")
        assert await world.placed("big") == "n2"


async def test_room_that_is_given_back_is_used(world: World, api_server: RunningServer) -> None:
    async with running(api_server):
        await world.node("n1", cpu="1")
        await world.pod("first", cpu="1")
        await world.placed("first")
        await world.pod("second", cpu="1")
        assert (await world.condition("second"))["status"] == "False"
        await world.client.delete(PODS, "first", world.namespace, grace_period_seconds=0)
        assert await world.placed("second") == "n1"


async def test_gates_and_strangers_are_left_alone(world: World, api_server: RunningServer) -> None:
    async with running(api_server):
        await world.node("n1")
        await world.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
        await world.pod("foreign", schedulerName="other")
        await world.pod("mine")
        assert await world.placed("mine") == "n1"
        for name in ("gated", "foreign"):
            assert "nodeName" not in (await world.get(name))["spec"]
        patch = [{"op": "remove", "path": "/spec/schedulingGates"}]
        await world.client.patch(PODS, "gated", patch, world.namespace, "json")
        assert await world.placed("gated") == "n1"


async def test_the_less_important_make_room(world: World, api_server: RunningServer) -> None:
    for name, value in (("low", 1), ("high", 1000)):
        await world.client.create(
            "scheduling.k8s.io/v1/priorityclasses",
            {"metadata": {"name": f"{world.namespace}-{name}"}, "value": value},
        )
    async with running(api_server):
        await world.node("n1", cpu="1")
        await world.pod("victim", cpu="1", priorityClassName=f"{world.namespace}-low")
        await world.placed("victim")
        await world.pod("urgent", cpu="1", priorityClassName=f"{world.namespace}-high")

        async def doomed() -> bool:
            pods = (await world.client.list(PODS, world.namespace))["items"]
            victim = [p for p in pods if p["metadata"]["name"] == "victim"]
            return not victim or "deletionTimestamp" in victim[0]["metadata"]

        assert await until(doomed)
        # There is no kubelet that would end it: do its work.
        listed = (await world.client.list(PODS, world.namespace))["items"]
        if any(p["metadata"]["name"] == "victim" for p in listed):
            await world.client.delete(PODS, "victim", world.namespace, grace_period_seconds=0)
        assert await world.placed("urgent") == "n1"
        (event,) = await world.events("victim", "Preempted")
        assert event["message"].startswith("Preempted by pod ")


async def test_a_restart_counts_what_is_there(world: World, api_server: RunningServer) -> None:
    async with running(api_server):
        await world.node("n1", cpu="1")
        await world.pod("first", cpu="600m")
        await world.placed("first")
    async with running(api_server, **{"leader-elect": True}):
        await world.pod("second", cpu="600m")
        assert "Insufficient cpu" in (await world.condition("second"))["message"]


async def test_many_pods_spread_over_nodes(world: World, api_server: RunningServer) -> None:
    for number in range(10):
        await world.node(f"n{number}", cpu="64", pods="200")
    names = [f"p{number}" for number in range(300)]
    await asyncio.gather(*(world.pod(name) for name in names))
    started = time.perf_counter()
    async with running(api_server):

        async def all_placed() -> bool:
            pods = (await world.client.list(PODS, world.namespace))["items"]
            return all(pod["spec"].get("nodeName") for pod in pods)

        assert await until(all_placed, 30)
        elapsed = time.perf_counter() - started
    pods = (await world.client.list(PODS, world.namespace))["items"]
    spread = Counter(pod["spec"]["nodeName"] for pod in pods)
    assert len(spread) == 10
    assert max(spread.values()) - min(spread.values()) <= 2
    print(f"300 pods bound in {elapsed:.2f} s, start included")
