"""What node, pods and containers use now: from the runtime's statistics and this host's files."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.times import from_unix
from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.cri import CRIError
from kubeinstall.kubelet.machine import meminfo
from kubeinstall.kubelet.manager import PodManager

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """CPU in nanoseconds since the start; sizes in bytes; `started_at` in seconds."""

    namespace: str
    pod: str
    uid: str
    name: str
    cpu: int
    cpu_rate: int
    memory: int
    usage: int
    rss: int
    disk: int
    inodes: int
    started_at: float


async def containers(manager: PodManager) -> list[ContainerUsage]:
    """Every running container; empty while the runtime is away."""
    try:
        answer = await manager.parts.cri.call("ListContainerStats", api.ListContainerStatsRequest())
    except CRIError:
        return []
    return [_usage(manager, stats) for stats in answer.stats if stats.HasField("cpu")]


def _usage(manager: PodManager, stats: Any) -> ContainerUsage:
    labels = stats.attributes.labels
    uid = labels.get(names.POD_UID, "")
    known = manager.parts.runtime.get(uid).by_id(stats.attributes.id)
    return ContainerUsage(
        namespace=labels.get(names.POD_NAMESPACE, ""),
        pod=labels.get(names.POD_NAME, ""),
        uid=uid,
        name=labels.get(names.CONTAINER_NAME, ""),
        cpu=stats.cpu.usage_core_nano_seconds.value,
        cpu_rate=stats.cpu.usage_nano_cores.value,
        memory=stats.memory.working_set_bytes.value,
        usage=stats.memory.usage_bytes.value or stats.memory.working_set_bytes.value,
        rss=stats.memory.rss_bytes.value,
        disk=stats.writable_layer.used_bytes.value,
        inodes=stats.writable_layer.inodes_used.value,
        started_at=known.started_at / NANO if known else 0.0,
    )


def node_cpu_seconds() -> float:
    """CPU time used by everything on the host."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    ticks = [int(word) for word in first]
    idle = ticks[3] + ticks[4]
    return (sum(ticks[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def node_memory() -> tuple[int, int]:
    """(working set, available) in bytes."""
    found = meminfo()
    inactive = found.get("Inactive(file)", 0)
    used = found["MemTotal"] - found["MemFree"]
    return max(0, used - inactive), found.get("MemAvailable", found["MemFree"])


def file_system(path: Path) -> Object:
    """`fs` of stats/summary."""
    usage = shutil.disk_usage(path)
    inodes = os.statvfs(path)
    return {
        "time": from_unix(int(time.time())),
        "availableBytes": usage.free,
        "capacityBytes": usage.total,
        "usedBytes": usage.used,
        "inodesFree": inodes.f_favail,
        "inodes": inodes.f_files,
        "inodesUsed": inodes.f_files - inodes.f_ffree,
    }


async def summary(manager: PodManager) -> Object:
    """`/stats/summary`."""
    moment = from_unix(int(time.time()))
    working, available = node_memory()
    root = manager.parts.paths.root
    pods: dict[str, Object] = {}
    for used in await containers(manager):
        pod = pods.setdefault(used.uid, _pod_summary(used, moment))
        pod["containers"].append(_container_summary(used, moment, root))
        for total, amount in (
            (pod["cpu"], {"usageNanoCores": used.cpu_rate, "usageCoreNanoSeconds": used.cpu}),
            (
                pod["memory"],
                {"workingSetBytes": used.memory, "usageBytes": used.usage, "rssBytes": used.rss},
            ),
        ):
            for key, value in amount.items():
                total[key] = total.get(key, 0) + value
    cpu = int(node_cpu_seconds() * NANO)
    return {
        "node": {
            "nodeName": manager.parts.node_name,
            "startTime": from_unix(int(_boot_time())),
            "cpu": {"time": moment, "usageCoreNanoSeconds": cpu},
            "memory": {"time": moment, "availableBytes": available, "workingSetBytes": working},
            "fs": file_system(root),
            "runtime": {"imageFs": file_system(root)},
            "rlimit": {
                "time": moment,
                "maxpid": pid_max(),
                "curproc": process_count(),
            },
        },
        "pods": list(pods.values()),
    }


def _pod_summary(used: ContainerUsage, moment: str) -> Object:
    return {
        "podRef": {"name": used.pod, "namespace": used.namespace, "uid": used.uid},
        "startTime": from_unix(int(used.started_at)),
        "containers": [],
        "cpu": {"time": moment},
        "memory": {"time": moment},
    }


def _container_summary(used: ContainerUsage, moment: str, root: Path) -> Object:
    return {
        "name": used.name,
        "startTime": from_unix(int(used.started_at)),
        "cpu": {"time": moment, "usageNanoCores": used.cpu_rate, "usageCoreNanoSeconds": used.cpu},
        "memory": {
            "time": moment,
            "workingSetBytes": used.memory,
            "usageBytes": used.usage,
            "rssBytes": used.rss,
        },
        "rootfs": {**file_system(root), "usedBytes": used.disk, "inodesUsed": used.inodes},
    }


def pid_max() -> int:
    """The highest process id of this kernel."""
    return int(Path("/proc/sys/kernel/pid_max").read_text())


def process_count() -> int:
    """Threads that exist now, as /proc/loadavg counts them."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
