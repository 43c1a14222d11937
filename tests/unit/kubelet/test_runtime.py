"""The runtime cache: an older look never undoes a newer one."""

from __future__ import annotations

import asyncio
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.kubelet import names
from kubeinstall.kubelet.runtime import Runtime

LABELS = {names.POD_UID: "u", names.CONTAINER_NAME: "c"}


class Recorded:
    """A runtime of recorded answers, whose full listing can be held back."""

    def __init__(self) -> None:
        self.containers: list[Any] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.listing = asyncio.Event()

    def add(self, container_id: str) -> None:
        self.containers.append(
            api.Container(
                id=container_id, pod_sandbox_id="s", labels=LABELS, state=api.CONTAINER_RUNNING
            )
        )

    async def list_sandboxes(self) -> list[Any]:
        return []

    async def list_containers(self) -> list[Any]:
        found = list(self.containers)
        self.listing.set()
        await self.hold.wait()
        return found

    async def call(self, method: str, _request: Any) -> Any:
        if method == "ListContainers":
            return api.ListContainersResponse(containers=self.containers)
        return api.ListPodSandboxResponse()

    async def container_status(self, container_id: str) -> Any:
        return api.ContainerStatus(id=container_id, labels=LABELS, state=api.CONTAINER_RUNNING)


async def test_a_listing_begun_before_a_refresh_does_not_undo_it() -> None:
    recorded = Recorded()
    told: list[str] = []
    runtime = Runtime(recorded, told.append)  # type: ignore[arg-type]  # recorded answers
    recorded.add("one")
    await runtime.relist()
    assert told == ["u"]
    recorded.hold.clear()
    recorded.listing.clear()
    slow = asyncio.create_task(runtime.relist())
    await recorded.listing.wait()  # it has read what was there, "two" was not
    recorded.add("two")
    await runtime.refresh("u")
    assert {c.id for c in runtime.get("u").containers} == {"one", "two"}
    recorded.hold.set()
    await slow
    assert {c.id for c in runtime.get("u").containers} == {"one", "two"}
    recorded.containers.clear()
    await runtime.relist()
    assert runtime.uids() == []
