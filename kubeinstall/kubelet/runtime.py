"""What the runtime has, pod by pod, and who is told when it changes (upstream's PLEG).

Events say *that* something happened; what happened is always read from the runtime itself:

1. `GetContainerEvents`, where the runtime has it (containerd 1.7 and later);
2. else containerd's own event service on the same socket: a task's exit wakes a listing at once, which is
   repeated for a moment, because the CRI side of containerd learns of the exit at about the same time;
3. and always a listing every ten seconds; every second where there are no events at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.kubelet import names
from kubeinstall.kubelet.cri import CRI, ContainerStatus, CRIError, PodRuntime, Sandbox
from kubeinstall.kubelet.cri.events import exits
from kubeinstall.kubelet.cri.types import (
    EXITED,
    container_from_status,
    sandbox_from_status,
    state_name,
)
from kubeinstall.kubelet.logs.read import tail_bytes
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

SLOW_SECONDS = 10.0
FAST_SECONDS = 1.0
_ECHOES = (0.02, 0.08, 0.2, 0.5, 1.0)
"""Seconds between listings after an exit, until the runtime's CRI side knows it."""
STALE_SECONDS = 600.0
MESSAGE_LIMIT = 4096
FALLBACK_LINES, FALLBACK_BYTES = 80, 2048


class Runtime:
    """A cache of `PodRuntime`s; `on_change(uid)` is called after each change of one."""

    def __init__(self, cri: CRI, on_change: Callable[[str], None]) -> None:
        self.cri = cri
        self._on_change = on_change
        self._pods: dict[str, PodRuntime] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, ContainerStatus] = {}
        self._wake = asyncio.Event()
        self._echo = 0
        self._events = False
        self._refresh_lock: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._as_of: dict[str, float] = {}
        self.listed = asyncio.Event()
        self.last_listing = 0.0

    def get(self, uid: str) -> PodRuntime:
        """What the runtime has of one pod; empty where it has nothing."""
        return self._pods.get(uid) or PodRuntime(uid)

    def uids(self) -> list[str]:
        """All pods that the runtime has anything of."""
        return list(self._pods)

    def wake(self) -> None:
        """List soon."""
        self._echo = 0
        self._wake.set()

    async def run(self) -> None:
        """List and listen until cancelled; a runtime that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="runtime events")
            group.create_task(self._list_forever(), name="runtime listing")

    async def _list_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.relist()
            except CRIError as error:
                log.debug("Runtime cannot be listed", error=str(error))
                self._echo = len(_ECHOES)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
                    await asyncio.sleep(0.005)  # events come in bunches

    def _pause(self) -> float:
        if self._echo < len(_ECHOES):
            self._echo += 1
            return _ECHOES[self._echo - 1]
        return SLOW_SECONDS if self._events else FAST_SECONDS

    async def _listen(self) -> None:
        while True:
            source = _cri_events
            try:
                await self._follow(_cri_events(self.cri))
            except CRIError as error:
                if error.code == "UNIMPLEMENTED":
                    source = exits
            if source is exits:
                try:
                    await self._follow(exits(self.cri))
                except CRIError as error:
                    log.debug("No events from the runtime", error=str(error))
            self._events = False
            await asyncio.sleep(2.0)
            self.wake()

    async def _follow(self, events: AsyncIterator[None]) -> None:
        async for _ in events:
            self._events = True
            self.wake()

    async def relist(self) -> None:
        """Compare everything with what is known; tell of each pod that differs."""
        as_of = time.monotonic()
        sandboxes, containers = await asyncio.gather(
            self.cri.list_sandboxes(), self.cri.list_containers()
        )
        uids = {s.metadata.uid for s in sandboxes}
        uids |= {c.labels.get(names.POD_UID, "") for c in containers}
        changed = []
        for uid in uids | set(self._pods):
            mine = [s for s in sandboxes if s.metadata.uid == uid]
            theirs = [c for c in containers if c.labels.get(names.POD_UID) == uid]
            if uid and self._differs(uid, mine, theirs):
                changed.append((uid, mine, theirs))
        for uid, mine, theirs in changed:
            await self._take(uid, mine, theirs, as_of)
        self._prune(as_of - STALE_SECONDS)
        self.last_listing = asyncio.get_running_loop().time()
        self.listed.set()

    def _prune(self, before: float) -> None:
        """Forget when pods that are gone were last looked at, once no older listing can be under way."""
        for uid in [u for u, at in self._as_of.items() if at < before and u not in self._pods]:
            del self._as_of[uid]

    async def refresh(self, uid: str) -> PodRuntime:
        """Read one pod's state now."""
        async with self._refresh_lock[uid]:
            as_of = time.monotonic()
            selector = {names.POD_UID: uid}
            sandboxes = (
                await self.cri.call(
                    "ListPodSandbox",
                    api.ListPodSandboxRequest(filter=api.PodSandboxFilter(label_selector=selector)),
                )
            ).items
            containers = (
                await self.cri.call(
                    "ListContainers",
                    api.ListContainersRequest(filter=api.ContainerFilter(label_selector=selector)),
                )
            ).containers
            self._as_of[uid] = max(as_of, self._as_of.get(uid, 0.0))
            if self._differs(uid, sandboxes, containers):
                await self._take(uid, sandboxes, containers, as_of, tell=False)
        if uid not in self._pods:
            self._refresh_lock.pop(uid, None)
        return self.get(uid)

    def _differs(self, uid: str, sandboxes: Iterable[Any], containers: Iterable[Any]) -> bool:
        known = self._pods.get(uid) or PodRuntime(uid)
        before = {(s.id, s.ready) for s in known.sandboxes}
        before_containers = {(c.id, c.state) for c in known.containers}
        now = {(s.id, s.state == api.SANDBOX_READY) for s in sandboxes}
        now_containers = {(c.id, state_name(c.state)) for c in containers}
        return before != now or before_containers != now_containers

    async def _take(
        self,
        uid: str,
        sandboxes: Iterable[Any],
        containers: Iterable[Any],
        as_of: float,
        *,
        tell: bool = True,
    ) -> None:
        found_sandboxes = [await self._sandbox(item) for item in sandboxes]
        found_containers = [await self._container(item) for item in containers]
        if self._as_of.get(uid, 0.0) > as_of:
            # A later look at this pod has been taken meanwhile: what is held here would undo what a worker
            # just did, and have it done twice.
            return
        self._as_of[uid] = as_of
        old = self._pods.get(uid)
        made = PodRuntime(
            uid=uid,
            name=next((s.name for s in found_sandboxes if s), ""),
            namespace=next((s.namespace for s in found_sandboxes if s), ""),
            sandboxes=tuple(sorted((s for s in found_sandboxes if s), key=lambda s: -s.created_at)),
            containers=tuple(
                sorted((c for c in found_containers if c), key=lambda c: -c.created_at)
            ),
        )
        if old is not None and not made.name:
            made = replace(made, name=old.name, namespace=old.namespace)
        self._forget(old, made)
        if made.sandboxes or made.containers:
            self._pods[uid] = made
        else:
            self._pods.pop(uid, None)
        if tell:
            self._on_change(uid)

    def _forget(self, old: PodRuntime | None, new: PodRuntime) -> None:
        if old is None:
            return
        for sandbox_id in {s.id for s in old.sandboxes} - {s.id for s in new.sandboxes}:
            self._sandboxes.pop(sandbox_id, None)
        for container_id in {c.id for c in old.containers} - {c.id for c in new.containers}:
            self._containers.pop(container_id, None)

    async def _sandbox(self, item: Any) -> Sandbox | None:
        known = self._sandboxes.get(item.id)
        ready = item.state == api.SANDBOX_READY
        if known is not None and known.ready == ready:
            return known
        try:
            found = sandbox_from_status(await self.cri.sandbox_status(item.id))
        except CRIError as error:
            if error.code == "NOT_FOUND":
                return None
            raise
        if not found.ips and known is not None and known.ips:
            found = replace(found, ips=known.ips)
        self._sandboxes[item.id] = found
        return found

    async def _container(self, item: Any) -> ContainerStatus | None:
        state = state_name(item.state)
        known = self._containers.get(item.id)
        if known is not None and known.state == state:
            return known
        try:
            status = await self.cri.container_status(item.id)
        except CRIError as error:
            if error.code == "NOT_FOUND":
                return None
            raise
        found = container_from_status(status, item.pod_sandbox_id)
        if found.state == EXITED:
            found = replace(found, message=_termination_message(status, found))
        self._containers[item.id] = found
        return found


async def _cri_events(cri: CRI) -> AsyncIterator[None]:
    async for _ in cri.stream("GetContainerEvents", api.GetEventsRequest()):
        yield


def _termination_message(status: Any, found: ContainerStatus) -> str:
    """What the container left in its termination file, else, if so asked, the end of its log."""
    wanted = found.annotations.get(names.TERMINATION_PATH, "")
    text = b""
    for mount in status.mounts:
        if mount.container_path == wanted:
            with contextlib.suppress(OSError), Path(mount.host_path).open("rb") as file:
                text = file.read(MESSAGE_LIMIT)
    if text:
        return text.decode(errors="replace")
    fallback = found.annotations.get(names.TERMINATION_POLICY) == "FallbackToLogsOnError"
    if fallback and (found.exit_code != 0 or found.reason == "OOMKilled"):
        return tail_bytes(Path(found.log_path), FALLBACK_LINES, FALLBACK_BYTES)
    return found.message
