"""A running controller manager, and a stand-in for kubelets that makes pods ready."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from kubeinstall.api import times
from kubeinstall.client import ApiClient, Informer, Unreachable
from kubeinstall.controllers.component import ControllerManager
from kubeinstall.controllers.config import ControllerManagerSettings
from kubeinstall.errors import Conflict, NotFound
from kubeinstall.runtime.component import ComponentContext
from tests.support.apiserver import RunningServer

Object = dict[str, Any]
PODS = "v1/pods"
_names = itertools.count(1)


class World:
    """A client, a namespace of its own, and waiting."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def create(self, gvr: str, kind: str, name: str, spec: Object, **meta: Any) -> Object:
        group = gvr.rpartition("/")[0]
        body = {
            "apiVersion": group,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace, **meta},
            "spec": spec,
        }
        return await self.client.create(gvr, body)

    async def get(self, gvr: str, name: str) -> Object:
        return await self.client.get(gvr, name, self.namespace)

    async def list(self, gvr: str, selector: str = "") -> list[Object]:
        listed = await self.client.list(gvr, self.namespace, label_selector=selector)
        items: list[Object] = listed["items"]
        return items

    async def patch(self, gvr: str, name: str, patch: Object, **options: Any) -> Object:
        return await self.client.patch(gvr, name, patch, self.namespace, **options)

    async def until(
        self, check: Callable[[], Awaitable[Any]], seconds: float = 20.0, what: str = ""
    ) -> Any:
        """The first true answer of `check`; NotFound counts as not yet."""
        deadline = time.monotonic() + seconds
        last: Any = None
        while time.monotonic() < deadline:
            try:
                last = await check()
            except NotFound as error:
                last = error
            else:
                if last:
                    return last
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {seconds}s: {what or check}; last: {last!r}")

    async def gone(self, gvr: str, name: str, seconds: float = 20.0) -> None:
        await self._gone(gvr, name, self.namespace, seconds)

    async def gone_cluster(self, gvr: str, name: str, seconds: float = 20.0) -> None:
        await self._gone(gvr, name, None, seconds)

    async def _gone(self, gvr: str, name: str, namespace: str | None, seconds: float) -> None:
        async def check() -> bool:
            try:
                await self.client.get(gvr, name, namespace)
            except NotFound:
                return True
            return False

        await self.until(check, seconds, f"{gvr} {name} gone")


@asynccontextmanager
async def running(
    server: RunningServer, *, kubelet: bool = True, **settings: Any
) -> AsyncIterator[World]:
    """A manager and a fresh namespace; `kubelet` marks pods ready."""
    values: Object = {
        "root_ca_file": server.directory / "pki/ca.crt",
        "leader_elect": False,
        "secure_port": 0,
    }
    config = ControllerManagerSettings(
        kubeconfig=server.kubeconfig("super-admin"), **{**values, **settings}
    )
    context = ComponentContext("kube-controller-manager")
    manager = asyncio.create_task(ControllerManager(config, context).run())
    try:
        async with server.client() as client:
            name = f"c{next(_names)}-{int(time.time()) % 10000}"
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await client.create("v1/namespaces", body)
            kubelets = asyncio.create_task(act_as_kubelet(client, name)) if kubelet else None
            try:
                yield World(client, name)
                if manager.done():
                    manager.result()
            finally:
                if kubelets is not None:
                    kubelets.cancel()
                    await asyncio.gather(kubelets, return_exceptions=True)
    finally:
        manager.cancel()
        await asyncio.gather(manager, return_exceptions=True)


async def act_as_kubelet(client: ApiClient, namespace: str) -> None:
    """Make each new pod of a namespace Running and Ready with an address."""
    addresses = itertools.count(1)
    queue: asyncio.Queue[Object] = asyncio.Queue()
    informer = Informer(client, PODS, namespace)

    def changed(_: Object | None, new: Object | None) -> None:
        if new is None or new["metadata"].get("deletionTimestamp"):
            return
        idle = "no-kubelet" in (new["metadata"].get("labels") or {})
        if not idle and (new.get("status") or {}).get("phase", "Pending") == "Pending":
            queue.put_nowait(new)

    informer.add_handler(changed)
    async with asyncio.TaskGroup() as group:
        group.create_task(informer.run())
        while True:
            pod = await queue.get()
            number = next(addresses)
            ip = f"10.244.{number // 250}.{number % 250 + 1}"
            try:
                await set_status(client, pod, "Running", ready=True, ip=ip)
            except (NotFound, Conflict, Unreachable):
                continue


async def set_status(
    client: ApiClient, pod: Object, phase: str, *, ready: bool, ip: str = "10.244.9.9", **more: Any
) -> None:
    """Write a pod's phase and readiness, as its kubelet would."""
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": times.now(),
    }
    status = {
        "phase": phase,
        "conditions": [condition],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": times.now(),
        **more,
    }
    meta = pod["metadata"]
    await client.patch(
        PODS, meta["name"], {"status": status}, meta["namespace"], subresource="status"
    )


def pod_template(labels: dict[str, str], image: str = "busybox:1", **spec: Any) -> Object:
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }
