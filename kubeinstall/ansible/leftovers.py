"""What pods and components leave in the kernel: found by what it is, not by what we remember."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubeinstall.ansible.commands import CommandError, run
from kubeinstall.ansible.paths import COMPONENTS
from kubeinstall.errors import KubeinstallError

TABLES = ("kube-proxy", "kube-podnet", "kubelet", "kubeinstall")
BRIDGE = "cni0"
_LINKS = (BRIDGE, "kubevxlan")
_MOUNTS = ("/var/lib/kubelet/",)
_NETNS = Path("/run/netns")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_POD_CGROUPS = ("kubepods", "kubepods.slice")
_RUNTIME_CGROUP = "k8s.io"
_MNT_DETACH = 2
_SHIM_ADDRESS = "/run/containerd/containerd.sock"
_STOP_SECONDS = 10.0


def component_processes() -> list[tuple[int, str]]:
    """(pid, components) of `kubeinstall component run …` processes of this host's cluster.

    Components run by hand with another settings file are somebody else's.
    """
    found = []
    for pid, words in _processes():
        ours = "component" in words and "run" in words and any("kubeinstall" in w for w in words)
        if ours and ("--config" not in words or str(COMPONENTS) in words):
            found.append((pid, " ".join(words[words.index("run") + 1 :][:4])))
    return found


def shims() -> list[tuple[int, str]]:
    """containerd shims of pods: they outlive containerd on purpose, and so a killed one."""
    return [
        (pid, "containerd-shim")
        for pid, words in _processes()
        if words[0].rpartition("/")[2].startswith("containerd-shim")
        and "k8s.io" in words
        and _SHIM_ADDRESS in words
    ]


def nftables_tables() -> list[tuple[str, str]]:
    """(family, name) of tables that our components made."""
    try:
        text = run(["nft", "--json", "list", "tables"])
    except CommandError:
        return []
    entries = json.loads(text or '{"nftables": []}')["nftables"]
    tables = [entry["table"] for entry in entries if "table" in entry]
    return [
        (table["family"], table["name"])
        for table in tables
        if any(table["name"] == name or table["name"].startswith(f"{name}-") for name in TABLES)
    ]


def links() -> list[str]:
    """The pod bridge, the host ends of its pods, and tunnels.

    Asked of the kernel by netlink: /sys may show another network namespace's interfaces.
    """
    found = []
    for link in json.loads(run(["ip", "-json", "link", "show"]) or "[]"):
        name = str(link.get("ifname", ""))
        if name in _LINKS or (name.startswith("veth") and link.get("master") == BRIDGE):
            found.append(name)
    # Ends of pods first: a bridge without them goes quietly.
    return sorted(found, key=lambda name: name == BRIDGE)


def routes() -> list[tuple[str, str]]:
    """(ip's family flag, destination) of routes to other nodes' pods: known by the protocol that they carry."""
    from kubeinstall.podnet.routes import PROTOCOL

    found = []
    for family in ("-4", "-6"):
        text = run(["ip", "-json", family, "route", "show", "proto", str(PROTOCOL)], check=False)
        try:
            entries = json.loads(text or "[]")
        except ValueError:  # a host without IPv6 answers in words
            continue
        found += [(family, str(entry["dst"])) for entry in entries if "dst" in entry]
    return found


def remove_route(family: str, destination: str) -> None:
    """Remove one of ours; one that went with its interface is gone already."""
    from kubeinstall.podnet.routes import PROTOCOL

    run(["ip", family, "route", "delete", destination, "proto", str(PROTOCOL)], check=False)


def loopback_addresses(dns: str) -> list[str]:
    """The cluster DNS address on lo, with its prefix."""
    if not dns:
        return []
    text = run(["ip", "-json", "address", "show", "dev", "lo"])
    info = [entry for link in json.loads(text or "[]") for entry in link.get("addr_info", [])]
    return [f"{a['local']}/{a['prefixlen']}" for a in info if a.get("local") == dns]


def mounts(prefixes: Sequence[str] = _MOUNTS) -> list[str]:
    """Mount points below the prefixes, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(tuple(prefixes)):
            found.append(point)
    return sorted(set(found), key=len, reverse=True)


def is_mounted(path: Path) -> bool:
    """Whether it is a mount point, also of a folder of its own file system (`ip netns` makes one), which
    `Path.is_mount` does not see."""
    return str(path.resolve()) in mounts((str(path.resolve()),))


def unmount(point: str) -> None:
    """Detach a mount, as kubeadm reset does: at once where it can, later where it is in use."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(point.encode(), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if Path(point).is_mount():
            raise OSError(number, os.strerror(number), point)


def network_namespaces() -> list[Path]:
    """Namespaces that the CRI plugin made for pods which are gone: no process is in them."""
    if not _NETNS.is_dir():
        return []
    used = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            used.add(path.stat().st_ino)
    return sorted(path for path in _NETNS.glob("cni-*") if path.stat().st_ino not in used)


def remove_namespace(path: Path) -> None:
    """Unmount and remove one."""
    with contextlib.suppress(OSError):
        unmount(str(path))
    path.unlink(missing_ok=True)


def cgroups() -> list[Path]:
    """Top cgroups of pods in every hierarchy, v1 and v2."""
    if not _CGROUP_ROOT.is_dir():
        return []
    hierarchies = [_CGROUP_ROOT, *(p for p in _CGROUP_ROOT.iterdir() if p.is_dir())]
    found = {
        (hierarchy / name).resolve()
        for hierarchy in hierarchies
        for name in _POD_CGROUPS
        if (hierarchy / name).is_dir()
    }
    # containerd's own, of containers that somebody started by hand: only when they are gone.
    idle = (hierarchy / _RUNTIME_CGROUP for hierarchy in hierarchies)
    found.update(path.resolve() for path in idle if path.is_dir() and not _has_members(path))
    return sorted(found)


def remove_cgroup(top: Path) -> None:
    """Remove it with everything below, deepest first. Processes that are still inside end."""
    deadline = time.monotonic() + _STOP_SECONDS
    below = sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts))
    for cgroup in [*below, top]:
        while cgroup.exists():
            try:
                cgroup.rmdir()
            except OSError as error:
                _kill_members(cgroup)
                if time.monotonic() > deadline:
                    raise KubeinstallError(f"{cgroup}: {error.strerror}") from error
                time.sleep(0.02)


def _has_members(top: Path) -> bool:
    return any(path.read_text().strip() for path in top.rglob("cgroup.procs"))


def is_left(path: Path) -> bool:
    """Whether there is something to remove: not of an empty file system that is mounted there."""
    return path.exists() and not (path.is_mount() and next(path.iterdir(), None) is None)


def remove_tree(path: Path) -> None:
    """Remove a directory; what somebody else removes meanwhile is as good as removed by us.

    A file system of its own that is mounted there stays mounted, empty.
    """

    def keep_on(_function: object, failed: str, info: Any) -> None:
        busy = isinstance(info[1], OSError) and info[1].errno == errno.EBUSY
        if busy and Path(failed) == path and path.is_mount():
            return
        if not isinstance(info[1], FileNotFoundError):
            raise info[1]

    shutil.rmtree(path, onerror=keep_on)


def end_process(pid: int) -> None:
    """SIGTERM, patience, SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        try:
            wait_gone(pid)
        except KubeinstallError:
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid)


def wait_gone(pid: int) -> None:
    """Return when the process has ended."""
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            raise KubeinstallError(f"process {pid} does not end")
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _kill_members(cgroup: Path) -> None:
    with contextlib.suppress(OSError):
        for word in (cgroup / "cgroup.procs").read_text().split():
            os.kill(int(word), signal.SIGKILL)


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    here = Path("/proc/self/ns/pid").readlink()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "ns/pid").readlink() != here:
                continue  # of a container or a virtual host
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0]:
            found.append((int(path.name), [word for word in words if word]))
    return sorted(found)
