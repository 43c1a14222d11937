"""Checks before anything is touched, under kubeadm's names.

Standard library only, and nothing of kubeinstall: a bare host runs this file before anything is
installed on it. Each check yields findings; all are gathered before the verdict.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ERROR, WARNING = "ERROR", "WARNING"
MINIMUM_CPUS = 2
MINIMUM_MEMORY_MB = 1700
MINIMUM_DISK_MB = 1024
REQUIRED_CGROUPS = {"cpu", "cpuset", "memory", "pids"}
OLDEST_DEBIAN = 12
_TOOLS = ("ip", "mount", "nsenter", "apt-get", "dpkg-query")
#: In the command lines of processes that an earlier run started: our components, and our etcd.
_OURS = ("kubeinstall", "/etc/kubernetes/etcd.yaml")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Finding:
    """One result: `[ERROR Port-6443]: Port 6443 is in use`, and what to do about it."""

    level: str
    name: str
    message: str
    advice: str = ""

    def __str__(self) -> str:
        text = f"[{self.level} {self.name}]: {self.message}"
        return f"{text}\n\tWhat to do: {self.advice}" if self.advice else text


@dataclass(frozen=True)
class Host:
    """The host under test. `root` is / except in tests, which bring a tree of their own."""

    root: Path = Path("/")
    node_name: str = ""
    ports: tuple[int, ...] = (6443, 10259, 10257, 10250)
    cri_socket: str = "unix:///run/containerd/containerd.sock"
    is_root: bool | None = None
    cpus: int | None = None
    tools: Sequence[str] = _TOOLS

    def read(self, path: str) -> str:
        """A file's text, empty when it is not there."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""


Check = Callable[[Host], Iterator[Finding]]


def check_user(host: Host) -> Iterator[Finding]:
    """Everything else needs root."""
    if not (os.geteuid() == 0 if host.is_root is None else host.is_root):
        yield Finding(
            ERROR, "IsPrivilegedUser", "user is not running as root", "run it with sudo, or as root"
        )


def check_cpus(host: Host) -> Iterator[Finding]:
    """kubeadm's minimum."""
    cpus = host.cpus if host.cpus is not None else len(os.sched_getaffinity(0))
    if cpus < MINIMUM_CPUS:
        yield Finding(
            ERROR,
            "NumCPU",
            f"the number of available CPUs {cpus} is less than the required {MINIMUM_CPUS}",
            "give the host more CPUs, or --ignore-preflight-errors=NumCPU for a small lab",
        )


def check_memory(host: Host) -> Iterator[Finding]:
    """kubeadm's minimum."""
    match = re.search(r"MemTotal:\s+(\d+) kB", host.read("proc/meminfo"))
    if match is None:
        return
    megabytes = int(match[1]) // 1024
    if megabytes < MINIMUM_MEMORY_MB:
        yield Finding(
            ERROR,
            "Mem",
            f"the system RAM ({megabytes} MB) is less than the minimum {MINIMUM_MEMORY_MB} MB",
            "give the host more memory, or --ignore-preflight-errors=Mem for a small lab",
        )


def check_distribution(host: Host) -> Iterator[Finding]:
    """Packages come from Debian's mirror, so it must be Debian."""
    pairs = dict(
        line.split("=", 1) for line in host.read("etc/os-release").splitlines() if "=" in line
    )
    name = pairs.get("PRETTY_NAME", "an unknown system").strip('"')
    kind = pairs.get("ID", "").strip('"')
    version = pairs.get("VERSION_ID", "").strip('"')
    if kind != "debian" or (version.isdigit() and int(version) < OLDEST_DEBIAN):
        yield Finding(
            ERROR,
            "SystemVerification",
            f"unsupported operating system: {name}",
            f"kubeinstall needs Debian {OLDEST_DEBIAN} or later",
        )


def check_kernel(host: Host) -> Iterator[Finding]:
    """overlayfs for images, cgroup controllers for limits."""
    if "\toverlay\n" not in host.read("proc/filesystems") and not _has_module(host, "overlay"):
        yield Finding(
            ERROR,
            "SystemVerification",
            "missing required kernel feature: overlayfs",
            "load the overlay module (modprobe overlay), or boot a kernel that has it",
        )
    absent = REQUIRED_CGROUPS - _cgroups(host)
    if absent:
        yield Finding(
            ERROR,
            "SystemVerification",
            f"missing required cgroups: {' '.join(sorted(absent))}",
            "enable them on the kernel command line (for memory: cgroup_enable=memory)",
        )


def check_ports(host: Host) -> Iterator[Finding]:
    """Ports must be free, or be held by an earlier run of kubeinstall."""
    listening = _listening(host)
    for port in host.ports:
        if port not in listening:
            continue
        owner = _owner(host, listening[port])
        if any(mark in owner for mark in _OURS):
            continue
        who = f" by {owner}" if owner else ""
        yield Finding(
            ERROR,
            f"Port-{port}",
            f"Port {port} is in use{who}",
            f"stop what listens there (ss -ltnp 'sport = :{port}'), or choose another port",
        )


def check_earlier_cluster(host: Host) -> Iterator[Finding]:
    """A host that kubeadm set up is not ours to take over."""
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"):
        path = f"etc/kubernetes/manifests/{name}.yaml"
        if (host.root / path).exists():
            yield Finding(
                ERROR,
                f"FileAvailable--{path.replace('/', '-')}",
                f"/{path} already exists",
                "this host runs a cluster made by kubeadm: kubeadm reset it first",
            )


def check_tools(host: Host) -> Iterator[Finding]:
    """Tools that no role installs."""
    for tool in host.tools:
        if shutil.which(tool) is None:
            yield Finding(
                ERROR,
                f"FileExisting-{tool}",
                f"{tool} not found in system path",
                "install Debian's iproute2, mount and util-linux, and see that PATH has /usr/sbin",
            )


def check_disk(host: Host) -> Iterator[Finding]:
    """A full disk fails late and badly, so look first."""
    for directory in ("var/lib", "etc", "run"):
        place = host.root / directory
        if not place.is_dir():
            continue
        space = os.statvfs(place)
        free = space.f_bavail * space.f_frsize // 2**20
        least = MINIMUM_DISK_MB if directory == "var/lib" else 16
        if free < least:
            yield Finding(
                ERROR,
                f"DiskSpace--{directory.replace('/', '-')}",
                f"/{directory} has {free} MB free, {least} MB are needed",
                "remove what is not needed (apt-get clean, journalctl --vacuum-size=100M)",
            )
        elif space.f_files and space.f_favail < 10_000:
            yield Finding(
                ERROR,
                f"DiskSpace--{directory.replace('/', '-')}",
                f"/{directory} has only {space.f_favail} free inodes",
                "remove directories with many small files",
            )


def check_forwarding(host: Host) -> Iterator[Finding]:
    """The roles turn forwarding on; that must be possible."""
    path = host.root / "proc/sys/net/ipv4/ip_forward"
    if host.read("proc/sys/net/ipv4/ip_forward").strip() != "1" and not os.access(path, os.W_OK):
        yield Finding(
            ERROR,
            "FileContent--proc-sys-net-ipv4-ip_forward",
            "/proc/sys/net/ipv4/ip_forward contents are not set to 1",
            "set net.ipv4.ip_forward=1 on the host: here it cannot be written",
        )


def check_swap(host: Host) -> Iterator[Finding]:
    """Only a warning, as upstream's since 1.28."""
    if len(host.read("proc/swaps").splitlines()) > 1:
        yield Finding(
            WARNING,
            "Swap",
            "swap is supported for cgroup v2 only. The kubelet must be properly configured to use "
            "swap",
            "turn it off (swapoff -a, and its line in /etc/fstab)",
        )


def check_hostname(host: Host) -> Iterator[Finding]:
    """The node name must be a DNS name; that it resolves is only nice to have."""
    if not host.node_name:
        return
    if not _NAME.fullmatch(host.node_name):
        yield Finding(
            ERROR,
            "Hostname",
            f'hostname "{host.node_name}" is not a lowercase RFC 1123 subdomain',
            "rename the host (hostnamectl hostname NAME), or give --node-name",
        )
        return
    try:
        socket.getaddrinfo(host.node_name, None)
    except OSError:
        yield Finding(WARNING, "Hostname", f'hostname "{host.node_name}" could not be reached')


def check_runtime(host: Host) -> Iterator[Finding]:
    """A socket other than containerd's usual one must be there: nobody else will make it."""
    default = Host.cri_socket
    path = host.cri_socket.removeprefix("unix://")
    if host.cri_socket != default and not (host.root / path.lstrip("/")).exists():
        yield Finding(
            ERROR,
            "CRI",
            f"container runtime is not running: {host.cri_socket} does not exist",
            f"start it, or use {default}",
        )


def check_restore(host: Host) -> Iterator[Finding]:
    """A restore of a whole cluster that broke off has put some of it in place, and its command puts the rest."""
    if host.read("var/lib/kubeinstall/restoring").startswith("{"):
        yield Finding(
            ERROR,
            "Restoring",
            "a restore of the cluster has not finished on this host",
            "run the same 'kubeinstall restore' again, or take it off with 'kubeinstall reset'",
        )


CHECKS: tuple[Check, ...] = (
    check_user,
    check_cpus,
    check_memory,
    check_ports,
    check_earlier_cluster,
    check_restore,
    check_runtime,
    check_swap,
    check_tools,
    check_distribution,
    check_kernel,
    check_hostname,
    check_forwarding,
    check_disk,
)


def findings(host: Host) -> list[Finding]:
    """Every finding of every check, in kubeadm's order."""
    return [finding for check in CHECKS for finding in check(host)]


def verdict(
    found: Sequence[Finding], ignored: Sequence[str]
) -> tuple[list[Finding], list[Finding]]:
    """(errors, warnings). An ignored name (any case, `all` for every one) becomes a warning."""
    names = {name.lower() for name in ignored}
    errors: list[Finding] = []
    warnings: list[Finding] = []
    for finding in found:
        ignore = "all" in names or finding.name.lower() in names
        (errors if finding.level == ERROR and not ignore else warnings).append(finding)
    return errors, [Finding(WARNING, f.name, f.message, f.advice) for f in warnings]


def failure_text(errors: Sequence[Finding]) -> str:
    """kubeadm's aggregated message."""
    lines = "\n".join(f"\t{line}" for error in errors for line in str(error).splitlines())
    return (
        f"[preflight] Some fatal errors occurred:\n{lines}\n"
        "[preflight] If you know what you are doing, you can make a check non-fatal with "
        "`--ignore-preflight-errors=...`"
    )


def _cgroups(host: Host) -> set[str]:
    unified = host.read("sys/fs/cgroup/cgroup.controllers")
    if unified:
        return set(unified.split())
    found: set[str] = set()
    for line in host.read("proc/self/mounts").splitlines():
        parts = line.split()
        if len(parts) > 3 and parts[2] == "cgroup":
            found.update(parts[3].split(","))
    return found


def _has_module(host: Host, name: str) -> bool:
    release = host.read("proc/sys/kernel/osrelease").strip()
    return f"/{name}.ko" in host.read(f"lib/modules/{release}/modules.dep")


def _listening(host: Host) -> dict[int, str]:
    """Port → socket inode of everything that listens over TCP."""
    ports: dict[int, str] = {}
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in host.read(table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A":
                ports[int(fields[1].rpartition(":")[2], 16)] = fields[9]
    return ports


def _owner(host: Host, inode: str) -> str:
    """Command line of the process that holds the socket; empty when it cannot be told."""
    wanted = f"socket:[{inode}]"
    for process in (host.root / "proc").glob("[0-9]*"):
        if wanted in _links(process / "fd"):
            return host.read(f"proc/{process.name}/cmdline").replace("\0", " ").strip()
    return ""


def _links(directory: Path) -> Iterator[str]:
    """Targets of the links in a directory; files of processes come and go while one looks."""
    try:
        for link in directory.iterdir():
            with contextlib.suppress(OSError):
                yield str(link.readlink())
    except OSError:
        return
