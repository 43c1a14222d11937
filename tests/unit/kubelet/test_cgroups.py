"""Cgroup files of both versions, on folders that stand for the mounts."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.kubelet.cgroups import files
from kubeinstall.kubelet.cgroups.manager import PodCgroups
from kubeinstall.kubelet.pod.resources import CgroupLimits
from tests.unit.kubelet.pods import container, pod, resources

LIMITS = CgroupLimits(shares=1024, quota=50000, memory=2**20, hugepages={"2MB": 2**21})


def version_2(root: Path) -> Path:
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    (root / "cgroup.subtree_control").write_text("")
    return root


def version_1(root: Path) -> Path:
    for name in ("cpu", "cpuset", "memory", "pids", "freezer"):
        (root / name).mkdir()
    (root / "cpuset/cpuset.cpus").write_text("0-1\n")
    (root / "cpuset/cpuset.mems").write_text("0\n")
    return root


def present(folder: Path, *names: str) -> None:
    """The files that a kernel would make."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("\n")


def test_version_2(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    files.create("/kubepods/podu", root)
    folder = root / "kubepods/podu"
    present(folder, "cpu.weight", "cpu.max", "memory.max", "pids.max")
    files.apply("/kubepods/podu", LIMITS, 100, root)
    read = {
        name: (folder / name).read_text()
        for name in ("cpu.weight", "cpu.max", "memory.max", "pids.max")
    }
    assert read == {
        "cpu.weight": "39",
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "pids.max": "100",
    }
    files.apply("/kubepods/podu", CgroupLimits(shares=2), 0, root)
    assert (folder / "cpu.max").read_text() == "max 100000"
    assert (folder / "memory.max").read_text() == "max"


def test_version_1(tmp_path: Path) -> None:
    root = version_1(tmp_path)
    for name in ("cpuset.cpus", "cpuset.mems"):
        present(root / "cpuset/kubepods", name)
        present(root / "cpuset/kubepods/podu", name)
    files.create("/kubepods/podu", root)
    # A cpuset takes no process before it has its parent's cores.
    assert (root / "cpuset/kubepods/podu/cpuset.cpus").read_text() == "0-1\n"
    assert not (root / "freezer/kubepods").exists()
    present(root / "cpu/kubepods/podu", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    present(root / "memory/kubepods/podu", "memory.limit_in_bytes")
    files.apply("/kubepods/podu", LIMITS, 0, root)
    assert (root / "cpu/kubepods/podu/cpu.shares").read_text() == "1024"
    assert (root / "cpu/kubepods/podu/cpu.cfs_quota_us").read_text() == "50000"
    assert (root / "memory/kubepods/podu/memory.limit_in_bytes").read_text() == "1048576"


def test_removing(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    (root / "kubepods/podu/inner").mkdir(parents=True)
    assert files.remove("/kubepods/podu", root)
    assert not (root / "kubepods/podu").exists()
    assert files.remove("/kubepods/podu", root)


async def test_a_pods_cgroup_is_where_its_class_says(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    cgroups = PodCgroups(driver="cgroupfs", mount=root)
    await cgroups.start(2000, 2**30)
    made = pod(container(resources=resources(cpu="1")))
    await cgroups.ensure(made)
    assert cgroups.parent(made) == "/kubepods/burstable/podu"
    assert (root / "kubepods/burstable/podu").is_dir()
    assert await cgroups.remove(made)
    assert not (root / "kubepods/burstable/podu").exists()
    assert PodCgroups(driver="systemd").parent(made) == "kubepods-burstable-podu.slice"
