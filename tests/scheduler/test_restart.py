"""The API server dies while pods are being bound: every pod gets its node all the same, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.scheduler.bench import PODS, World, running, until
from tests.support.apiserver import run_api_server


async def test_no_pod_is_forgotten_over_a_crash_of_the_server(tmp_path: Path) -> None:
    with run_api_server(tmp_path) as server:
        async with server.client() as client:
            world = World(client, "crash")
            await world.open()
            for number in range(4):
                await world.node(f"n{number}", cpu="64", pods="200")
            await asyncio.gather(*(world.pod(f"p{number}") for number in range(200)))
            async with running(server):

                async def some_bound() -> bool:
                    pods = (await client.list(PODS, "crash"))["items"]
                    return any(pod["spec"].get("nodeName") for pod in pods)

                assert await until(some_bound)
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.restart)

                async def all_bound() -> bool:
                    pods = (await client.list(PODS, "crash"))["items"]
                    return len(pods) == 200 and all(pod["spec"].get("nodeName") for pod in pods)

                assert await until(all_bound, 60)
