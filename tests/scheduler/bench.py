"""The scheduler as a component in this process, against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from kubeinstall.client import ApiClient
from kubeinstall.runtime.component import ComponentContext
from kubeinstall.runtime.settings import load
from kubeinstall.scheduler.component import Scheduler
from kubeinstall.scheduler.config import SchedulerSettings
from tests.support.apiserver import RunningServer

PODS, NODES = "v1/pods", "v1/nodes"


@asynccontextmanager
async def running(server: RunningServer, **flags: Any) -> AsyncIterator[Scheduler]:
    """A scheduler that runs until the block ends."""
    values = {
        "kubeconfig": str(server.kubeconfig("scheduler")),
        "leader-elect": False,
        "secure-port": 0,
        **flags,
    }
    settings = load(SchedulerSettings, values, "test")
    scheduler = Scheduler(settings, ComponentContext("kube-scheduler"))
    task = asyncio.create_task(scheduler.run())
    try:
        await asyncio.wait_for(scheduler.context.started.wait(), 10)
        yield scheduler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class World:
    """Shorthands over a client, in a namespace of its own."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    async def open(self) -> None:
        await self.client.create("v1/namespaces", {"metadata": {"name": self.namespace}})
        account = {"metadata": {"name": "default", "namespace": self.namespace}}
        await self.client.create("v1/serviceaccounts", account)

    async def close(self) -> None:
        for node in (await self.client.list(NODES))["items"]:
            await self.client.delete(NODES, node["metadata"]["name"])
        for pod in (await self.client.list(PODS, self.namespace))["items"]:
            name = pod["metadata"]["name"]
            await self.client.delete(PODS, name, self.namespace, grace_period_seconds=0)

    async def node(self, name: str, cpu: str = "4", pods: str = "110", **labels: str) -> None:
        capacity = {"cpu": cpu, "memory": "8Gi", "pods": pods}
        made = await self.client.create(
            NODES,
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
                "spec": {},
            },
        )
        made["status"] = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }
        await self.client.update_status(NODES, made)
        # Admission taints new nodes until a controller finds them ready; there is none here.
        await self.client.patch(NODES, name, {"spec": {"taints": None}})

    async def pod(self, name: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
        container = {"name": "c", "image": "busybox", "resources": {"requests": {"cpu": cpu}}}
        labels = spec.pop("labels", {})
        return await self.client.create(
            PODS,
            {
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
            },
        )

    async def get(self, name: str) -> dict[str, Any]:
        return await self.client.get(PODS, name, self.namespace)

    async def placed(self, name: str, seconds: float = 10) -> str:
        async def node() -> str:
            return str((await self.get(name))["spec"].get("nodeName", ""))

        return str(await until(node, seconds))

    async def condition(self, name: str) -> dict[str, Any]:
        async def find() -> dict[str, Any]:
            conditions = (await self.get(name))["status"].get("conditions") or []
            return next((c for c in conditions if c["type"] == "PodScheduled"), {})

        return dict(await until(find))

    async def events(self, name: str, reason: str) -> list[dict[str, Any]]:
        async def find() -> list[dict[str, Any]]:
            listed = await self.client.list("v1/events", self.namespace)
            return [
                e
                for e in listed["items"]
                if e["involvedObject"].get("name") == name and e["reason"] == reason
            ]

        return list(await until(find))


async def until(probe: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    """The first true result of `probe`, or the last one."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        result = await probe()
        if result or asyncio.get_running_loop().time() > end:
            return result
        await asyncio.sleep(0.02)
