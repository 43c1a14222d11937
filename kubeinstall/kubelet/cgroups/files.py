"""Cgroup folders and files, version 1 and 2."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from kubeinstall.kubelet.pod.resources import QUOTA_PERIOD, CgroupLimits

ROOT = Path("/sys/fs/cgroup")
_V1 = ("cpu", "cpuacct", "cpuset", "memory", "pids", "hugetlb", "blkio", "freezer", "devices")
_UNLIMITED_V1 = -1


def is_v2(root: Path = ROOT) -> bool:
    """Whether the unified hierarchy is all there is."""
    return (root / "cgroup.controllers").exists()


def folders(path: str, root: Path = ROOT) -> list[Path]:
    """The folders of a cgroup in every mounted hierarchy."""
    relative = path.lstrip("/")
    if is_v2(root):
        return [root / relative]
    found = [root / name for name in _V1 if (root / name).is_dir()]
    found += [root / name for name in ("systemd", "unified") if (root / name).is_dir()]
    return [hierarchy / relative for hierarchy in found]


def create(path: str, root: Path = ROOT) -> None:
    """Make a cgroup and those above it, with the controllers that pods need."""
    if is_v2(root):
        _create_v2(path, root)
        return
    for folder in folders(path, root):
        if folder.relative_to(root).parts[0] in (
            "systemd",
            "unified",
            "devices",
            "freezer",
            "blkio",
        ):
            continue  # the runtime makes these where it uses them
        folder.mkdir(parents=True, exist_ok=True)
        if folder.relative_to(root).parts[0] == "cpuset":
            _inherit_cpuset(folder, root / "cpuset")


def _create_v2(path: str, root: Path) -> None:
    wanted = {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}
    current = root
    for word in path.strip("/").split("/"):
        with contextlib.suppress(OSError):
            have = set((current / "cgroup.controllers").read_text().split())
            on = set((current / "cgroup.subtree_control").read_text().split())
            for controller in sorted((wanted & have) - on):
                with contextlib.suppress(OSError):
                    (current / "cgroup.subtree_control").write_text(f"+{controller}")
        current = current / word
        current.mkdir(exist_ok=True)


def _inherit_cpuset(folder: Path, top: Path) -> None:
    """A new cpuset is empty and takes no process before it has its parent's cores and memory nodes."""
    chain = [folder, *folder.parents]
    for member in reversed(chain[: chain.index(top)]):
        for name in ("cpuset.cpus", "cpuset.mems"):
            target = member / name
            if target.exists() and not target.read_text().strip():
                target.write_text((member.parent / name).read_text())


def apply(path: str, limits: CgroupLimits, pids: int, root: Path = ROOT) -> None:
    """Write a cgroup's limits; `pids` below 1 is no limit."""
    if is_v2(root):
        _apply_v2(root / path.lstrip("/"), limits, pids)
    else:
        _apply_v1(path.lstrip("/"), limits, pids, root)


def _apply_v1(path: str, limits: CgroupLimits, pids: int, root: Path) -> None:
    if limits.shares:
        _write(root / "cpu" / path / "cpu.shares", limits.shares)
    cpu = root / "cpu" / path
    if limits.quota:
        _write(cpu / "cpu.cfs_period_us", QUOTA_PERIOD)
    _write(cpu / "cpu.cfs_quota_us", limits.quota or _UNLIMITED_V1)
    memory = root / "memory" / path
    _write(memory / "memory.limit_in_bytes", limits.memory or _UNLIMITED_V1)
    if pids > 0:
        _write(root / "pids" / path / "pids.max", pids)
    for size, limit in limits.hugepages.items():
        _write(root / "hugetlb" / path / f"hugetlb.{size}.limit_in_bytes", limit)


def _apply_v2(folder: Path, limits: CgroupLimits, pids: int) -> None:
    if limits.shares:
        _write(folder / "cpu.weight", weight(limits.shares))
    quota = str(limits.quota) if limits.quota else "max"
    _write(folder / "cpu.max", f"{quota} {QUOTA_PERIOD}")
    _write(folder / "memory.max", limits.memory or "max")
    if pids > 0:
        _write(folder / "pids.max", pids)
    for size, limit in limits.hugepages.items():
        _write(folder / f"hugetlb.{size}.max", limit)


def weight(shares: int) -> int:
    """cpu.weight for CPU shares, by the formula runc and upstream use."""
    return 1 + (shares - 2) * 9999 // 262142


def _write(path: Path, value: int | str) -> None:
    # A controller that this host has not got cannot limit anything: the rest still must.
    if path.exists():
        with contextlib.suppress(FileNotFoundError):
            path.write_text(str(value))


def remove(path: str, root: Path = ROOT) -> bool:
    """Remove a cgroup and what is below it; False where processes are still inside."""
    gone = True
    for folder in folders(path, root):
        for base, inner, _files in os.walk(folder, topdown=False):
            for name in inner:
                gone &= _rmdir(Path(base) / name)
        if folder.exists():
            gone &= _rmdir(folder)
    return gone


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def kill(path: str, root: Path = ROOT) -> None:
    """SIGKILL what is left inside a pod's cgroup: its containers are stopped, so nothing should be."""
    seen: set[int] = set()
    for folder in folders(path, root):
        for listing in folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                seen |= {int(line) for line in listing.read_text().split()}
    for number in seen - {0}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
