"""What this host is: cores, memory, disk, kernel, cgroup version."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.api.quantity import BINARY_SI, Quantity

CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts that do not change while the kubelet runs; memory in bytes."""

    cpus: int
    memory: int
    cgroup_v2: bool
    apparmor: bool
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str


def read_machine() -> Machine:
    """Read them."""
    return Machine(
        cpus=os.cpu_count() or 1,
        memory=memory_total(),
        cgroup_v2=(CGROUP_ROOT / "cgroup.controllers").exists(),
        apparmor=_read("/sys/module/apparmor/parameters/enabled").startswith("Y"),
        machine_id=_read("/etc/machine-id") or _read("/var/lib/dbus/machine-id"),
        system_uuid=_read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_image(),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        ),
    )


def memory_total() -> int:
    """MemTotal of /proc/meminfo, in bytes."""
    return meminfo().get("MemTotal", 0)


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    with Path("/proc/meminfo").open() as table:
        for line in table:
            name, _, rest = line.partition(":")
            words = rest.split()
            found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def swap_on() -> bool:
    """Whether any swap is in use."""
    return len(Path("/proc/swaps").read_text().splitlines()) > 1


def capacity(machine: Machine, root: Path, max_pods: int) -> dict[str, str]:
    """`status.capacity`, with the units upstream shows."""
    made = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(_existing(root)).total // 1024}Ki",
        "pods": str(max_pods),
    }
    made.update({f"hugepages-{size}": count for size, count in _hugepages().items()})
    return made


def allocatable(
    total: dict[str, str], reserved: list[dict[str, str]], eviction_hard: dict[str, str]
) -> dict[str, str]:
    """`status.allocatable`: capacity without reservations and the hard eviction thresholds."""
    made = {}
    for name, text in total.items():
        amount = Quantity.parse(text)
        for listed in reserved:
            if name in listed:
                amount = amount - Quantity.parse(listed[name])
        amount = amount - _threshold(name, Quantity.parse(text), eviction_hard)
        if name.startswith("hugepages-") or amount.nano >= 0:
            made[name] = text if amount == Quantity.parse(text) else _show(name, amount)
        else:
            made[name] = "0"
    return made


def _show(name: str, amount: Quantity) -> str:
    if name == "memory":
        return f"{amount.value // 1024}Ki"
    return str(amount.value) if name == "ephemeral-storage" else str(amount)


def _threshold(name: str, total: Quantity, eviction_hard: dict[str, str]) -> Quantity:
    signal = {"memory": "memory.available", "ephemeral-storage": "nodefs.available"}.get(name, "")
    text = eviction_hard.get(signal)
    if not text:
        return Quantity()
    if text.endswith("%"):
        return Quantity.of(int(total.value * float(text[:-1]) / 100), BINARY_SI)
    return Quantity.parse(text)


def _hugepages() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        kilobytes = int(folder.name.removeprefix("hugepages-").removesuffix("kB"))
        amount = Quantity.of(kilobytes * 1024, BINARY_SI)
        count = int(_read(folder / "nr_hugepages") or 0)
        found[str(amount)] = str(Quantity.of(kilobytes * 1024 * count, BINARY_SI))
    return found


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"
