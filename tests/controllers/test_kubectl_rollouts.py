"""The rollout commands of an unmodified kubectl."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.controllers.world import World, running
from tests.support.apiserver import RunningServer

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


async def run(server: RunningServer, world: World, *arguments: str) -> str:
    """Run kubectl in the world's namespace; its output when it succeeds."""
    done = await asyncio.to_thread(server.kubectl, "-n", world.namespace, *arguments)
    assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
    return done.stdout


async def test_rollout_commands(api_server: RunningServer) -> None:
    async with running(api_server) as world:

        async def kubectl(*arguments: str) -> str:
            return await run(api_server, world, *arguments)

        await kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3")
        out = await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        assert "successfully rolled out" in out
        await kubectl("set", "image", "deployment/web", "web=web:2")
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        history = await kubectl("rollout", "history", "deployment/web")
        assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
        await kubectl("rollout", "undo", "deployment/web")
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        assert await kubectl("get", "deployment", "web", "-o", path) == "web:1"
        await kubectl("rollout", "restart", "deployment/web")
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        await kubectl("rollout", "pause", "deployment/web")
        await kubectl("rollout", "resume", "deployment/web")
        await kubectl("scale", "deployment/web", "--replicas=5")
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        ready = await kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")
        assert ready == "5"
        described = await kubectl("describe", "deployment", "web")
        assert "Scaled up replica set web-" in described
        await kubectl("expose", "deployment", "web", "--port=80")

        async def endpoints() -> bool:
            found = await kubectl(
                "get", "endpoints", "web", "-o", "jsonpath={.subsets[*].addresses}"
            )
            return found.count('"ip"') == 5

        await world.until(endpoints)
        await kubectl("delete", "deployment", "web", "--timeout=30s")

        async def none() -> bool:
            return not await kubectl("get", "pods", "-o", "name")

        await world.until(none)


async def test_kubectl_deletes_a_namespace_and_waits(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await run(api_server, world, "create", "configmap", "x")
        await run(api_server, world, "create", "job", "j", "--image=x")
        await run(api_server, world, "delete", "namespace", world.namespace, "--timeout=30s")
        done = await asyncio.to_thread(api_server.kubectl, "get", "namespace", world.namespace)
        assert "not found" in done.stderr
