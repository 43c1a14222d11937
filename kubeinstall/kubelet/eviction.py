"""Ending pods when the node runs out of memory, disk or process ids (the basic part of upstream's eviction manager)."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.kubelet.garbage import Garbage
from kubeinstall.kubelet.machine import meminfo
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.pod.status import Verdict
from kubeinstall.kubelet.server.usage import containers, pid_max, process_count
from kubeinstall.kubelet.worker import Killing
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

PERIOD_SECONDS = 10.0
_CONDITIONS = {
    "memory.available": ("MemoryPressure", "memory"),
    "nodefs.available": ("DiskPressure", "ephemeral-storage"),
    "nodefs.inodesFree": ("DiskPressure", "inodes"),
    "imagefs.available": ("DiskPressure", "ephemeral-storage"),
    "imagefs.inodesFree": ("DiskPressure", "inodes"),
    "pid.available": ("PIDPressure", "pids"),
}


class Eviction:
    """Compares what is available with evictionHard; one pod a round, then it waits for the effect."""

    def __init__(self, manager: PodManager, garbage: Garbage) -> None:
        self._manager = manager
        self._garbage = garbage
        self._config = manager.parts.config
        self._seen: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await self._local_storage()
            crossed = self.crossed()
            self._note(crossed)
            if crossed:
                await self._relieve(crossed)

    def crossed(self) -> dict[str, tuple[int, int]]:
        """Signal → (available, threshold) of those that are short."""
        found = {}
        for signal, text in self._config.eviction_hard.items():
            measured = self._measure(signal)
            if measured is None:
                continue
            available, total = measured
            limit = threshold(text, total)
            if available < limit:
                found[signal] = (available, limit)
        return found

    def _measure(self, signal: str) -> tuple[int, int] | None:
        """(available, capacity) of a signal."""
        root = self._manager.parts.paths.root
        match signal:
            case "memory.available":
                found = meminfo()
                return found.get("MemAvailable", 0), found["MemTotal"]
            case "nodefs.available" | "imagefs.available":
                usage = shutil.disk_usage(root)
                return usage.free, usage.total
            case "nodefs.inodesFree" | "imagefs.inodesFree":
                inodes = os.statvfs(root)
                return (inodes.f_favail, inodes.f_files) if inodes.f_files else None
            case "pid.available":
                return pid_max() - process_count(), pid_max()
        return None

    def _note(self, crossed: dict[str, tuple[int, int]]) -> None:
        """Conditions come at once and leave after evictionPressureTransitionPeriod."""
        now = time.monotonic()
        for signal in crossed:
            self._seen[_CONDITIONS[signal][0]] = now
        period = self._config.eviction_pressure_transition_period
        pressure = self._manager.parts.pressure
        pressure.clear()
        pressure.update(kind for kind, at in self._seen.items() if now - at < period)

    async def _relieve(self, crossed: dict[str, tuple[int, int]]) -> None:
        signal = "memory.available" if "memory.available" in crossed else min(crossed)
        available, limit = crossed[signal]
        if signal != "memory.available" and signal != "pid.available":
            listed = await self._manager.parts.cri.list_images()
            if await self._garbage.free_images(listed, limit - available) > 0:
                return
        victim = await self._victim(signal)
        if victim is None:
            return
        resource = _CONDITIONS[signal][1]
        message = (
            f"The node was low on resource: {resource}. Threshold quantity: {_show(limit)}, "
            f"available: {_show(available)}. "
        )
        self._evict(victim, message)

    def _evict(self, pod: Object, message: str) -> None:
        worker = self._manager.workers.get(spec.uid(pod))
        if worker is None:
            return
        log.warning("Evicting a pod", pod=spec.title(pod), reason=message)
        self._manager.parts.recorder.event(pod, "Warning", "Evicted", message)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "message": message,
        }
        worker.end(Killing(Verdict("Failed", "Evicted", message, (condition,)), grace=0))

    async def _local_storage(self) -> None:
        """End pods whose emptyDirs or containers hold more than they may (upstream's localStorageEviction)."""
        limited = [pod for pod in self._manager.active() if _has_storage_limit(pod)]
        if not limited:
            return
        disk: dict[str, int] = {}
        for item in await containers(self._manager):
            disk[item.uid] = disk.get(item.uid, 0) + item.disk
        for pod in limited:
            over = await asyncio.to_thread(self._over_limit, pod, disk.get(spec.uid(pod), 0))
            if over:
                self._evict(pod, over)

    def _over_limit(self, pod: Object, used_by_containers: int) -> str:
        paths, uid = self._manager.parts.paths, spec.uid(pod)
        total = used_by_containers
        for volume in pod["spec"].get("volumes") or []:
            source = volume.get("emptyDir")
            if source is None or source.get("medium"):
                continue
            used = folder_size(paths.volume(uid, "empty-dir", volume["name"]))
            total += used
            limit = source.get("sizeLimit")
            if limit and used > Quantity.parse(limit).value:
                return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
        allowed = resources.pod_limits(pod).get("ephemeral-storage")
        if allowed is not None and total > allowed.value:
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {allowed}. "
        return ""

    async def _victim(self, signal: str) -> Object | None:
        """Over its request first, then the lowest priority, then by how far over."""
        used: dict[str, int] = {}
        for item in await containers(self._manager):
            amount = item.memory if signal == "memory.available" else item.disk
            used[item.uid] = used.get(item.uid, 0) + amount
        name = "memory" if signal == "memory.available" else "ephemeral-storage"
        candidates = [pod for pod in self._manager.active() if not spec.is_critical(pod)]

        def rank(pod: Object) -> tuple[bool, int, int]:
            asked = resources.pod_requests(pod).get(name)
            over = used.get(spec.uid(pod), 0) - (asked.value if asked else 0)
            return over > 0, -int(pod["spec"].get("priority") or 0), over

        return max(candidates, key=rank, default=None)


def _has_storage_limit(pod: Object) -> bool:
    return "ephemeral-storage" in resources.pod_limits(pod) or any(
        (volume.get("emptyDir") or {}).get("sizeLimit")
        for volume in pod["spec"].get("volumes") or []
    )


def folder_size(folder: Path) -> int:
    """Bytes on disk of all below `folder`."""
    total = 0
    for base, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(base) / name).lstat().st_blocks * 512
            except OSError:
                continue  # gone meanwhile
    return total


def threshold(text: str, total: int) -> int:
    """An amount, or a share of the total ("10%")."""
    if text.endswith("%"):
        return int(total * float(text[:-1]) / 100)
    return Quantity.parse(text).value


def _show(amount: int) -> str:
    return f"{amount // 1024}Ki" if amount >= 1024 else str(amount)
