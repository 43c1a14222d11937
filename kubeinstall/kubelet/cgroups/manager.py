"""Making, sizing and removing pods' cgroups."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.cgroups import files, names
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.pod.resources import BEST_EFFORT, BURSTABLE, CgroupLimits
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")


class CgroupProblem(KubeinstallError):
    """A cgroup could not be made; becomes FailedCreatePodContainer."""


class PodCgroups:
    """kubepods and all below it. `driver` is "cgroupfs" or "systemd"."""

    def __init__(
        self,
        *,
        driver: str,
        root: str = "",
        pids_limit: int = -1,
        enforce_quota: bool = True,
        mount: Path = files.ROOT,
    ) -> None:
        self.driver = driver
        self._root = tuple(word for word in root.split("/") if word)
        self._pids = pids_limit
        self._enforce_quota = enforce_quota
        self._mount = mount
        self._applied: dict[str, CgroupLimits] = {}

    def parent(self, pod: Object) -> str:
        """The `cgroup_parent` that the runtime is told."""
        name = self._name(pod)
        return names.slice_unit(name) if self.driver == "systemd" else names.cgroupfs(name)

    def path(self, pod: Object) -> str:
        """The cgroup's path below the mount point."""
        return self._path(self._name(pod))

    def _name(self, pod: Object) -> names.Name:
        return names.pod_name(self._root, resources.qos_class(pod), spec.uid(pod))

    def _path(self, name: names.Name) -> str:
        return names.slice_path(name) if self.driver == "systemd" else names.cgroupfs(name)

    async def start(self, cpu_milli: int, memory: int) -> None:
        """Make kubepods (held to the node's allocatable, in bytes and thousandths) and the classes."""
        total = CgroupLimits(shares=resources.cpu_shares(cpu_milli), memory=memory or None)
        try:
            await self._make((*self._root, names.KUBEPODS), total, 0)
        except OSError as error:
            # Pods that run use more than the node may give by now: they are evicted, not a reason to stay away.
            log.warning("kubepods could not be limited", error=str(error))
        for qos in (BURSTABLE, BEST_EFFORT):
            limits = CgroupLimits(shares=resources.MIN_SHARES)
            await self._make(names.class_name(self._root, qos), limits, 0)

    async def ensure(self, pod: Object, *, growing: bool = False) -> None:
        """Make the pod's cgroup, or bring it to the present spec. Raises `CgroupProblem`.

        `growing`: containers are about to be resized. The pod may get more before they do, but not less: the kernel
        refuses a pod's limit below that of a container in it.
        """
        limits = resources.pod_cgroup_limits(pod, enforce_quota=self._enforce_quota)
        if growing:
            before = self._applied.get(spec.uid(pod))
            if before is None:
                # Made before this process: what cannot be made smaller yet is done after the containers.
                with contextlib.suppress(OSError):
                    await self._make(self._name(pod), limits, self._pids)
                return
            limits = resources.larger(before, limits)
        if self._applied.get(spec.uid(pod)) == limits:
            return
        try:
            await self._make(self._name(pod), limits, self._pids)
        except OSError as error:
            raise CgroupProblem(
                f"failed to ensure that the pod: {spec.uid(pod)} cgroups exist and are correctly applied: {error}"
            ) from error
        self._applied[spec.uid(pod)] = limits

    async def share(self, pods: list[Object]) -> None:
        """Weigh the burstable class by what its pods ask for together."""
        milli = sum(
            amount.milli
            for pod in pods
            if resources.qos_class(pod) == BURSTABLE
            and (amount := resources.pod_requests(pod).get("cpu"))
        )
        limits = CgroupLimits(shares=resources.cpu_shares(milli))
        if self._applied.get("burstable") != limits:
            await self._make(names.class_name(self._root, BURSTABLE), limits, 0)
            self._applied["burstable"] = limits

    async def remove(self, pod: Object) -> bool:
        """Remove the pod's cgroup; False where something still runs in it (it is killed, try again)."""
        self._applied.pop(spec.uid(pod), None)
        name = self._name(pod)
        if self.driver == "systemd":
            await _systemctl("stop", names.slice_unit(name))
            return True
        path = self._path(name)
        if files.remove(path, self._mount):
            return True
        files.kill(path, self._mount)
        await asyncio.sleep(0.05)
        return files.remove(path, self._mount)

    async def _make(self, name: names.Name, limits: CgroupLimits, pids: int) -> None:
        if self.driver != "systemd":
            path = self._path(name)
            files.create(path, self._mount)
            files.apply(path, limits, pids, self._mount)
            return
        properties = _properties(limits, pids)
        unit = names.slice_unit(name)
        await _systemctl("start", unit)
        if properties:
            await _systemctl("set-property", "--runtime", unit, *properties)


def _properties(limits: CgroupLimits, pids: int) -> list[str]:
    made = []
    if limits.shares:
        made.append(f"CPUWeight={files.weight(limits.shares)}")
        made.append(f"CPUShares={limits.shares}")
    if limits.quota:
        made.append(f"CPUQuota={max(1, limits.quota * 100 // resources.QUOTA_PERIOD)}%")
    if limits.memory:
        made.append(f"MemoryMax={limits.memory}")
    if pids > 0:
        made.append(f"TasksMax={pids}")
    return made


async def _systemctl(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "systemctl",
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        log.warning("systemd refused", arguments=" ".join(arguments), said=said.decode().strip())
