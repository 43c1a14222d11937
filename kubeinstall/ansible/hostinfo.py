"""What kind of host this is: init system, cgroups, capabilities. Detected, never assumed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

_CAP_SYS_RESOURCE = 24
#: Beginnings of the names of interfaces that stand for containers, not for the host.
_NOT_THE_HOSTS = ("lo", "cni", "veth", "docker", "br-", "virbr", "vxlan", "flannel", "cali")


def under_systemd(root: Path = Path("/")) -> bool:
    """Whether systemd is this host's init (sd_booted(3))."""
    return (root / "run/systemd/system").is_dir()


def cgroup_version(root: Path = Path("/")) -> int:
    """2 where the unified hierarchy is mounted at /sys/fs/cgroup, else 1."""
    return 2 if (root / "sys/fs/cgroup/cgroup.controllers").exists() else 1


def cgroup_controllers(root: Path = Path("/")) -> set[str]:
    """Names of the controllers that are usable."""
    if cgroup_version(root) == 2:
        return set((root / "sys/fs/cgroup/cgroup.controllers").read_text().split())
    found = set()
    for line in (root / "proc/self/mounts").read_text().splitlines():
        _device, _where, kind, options = line.split()[:4]
        if kind == "cgroup":
            found.update(options.split(","))
    return found


def may_lower_oom_score(root: Path = Path("/")) -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which lowering an OOM score takes."""
    for line in (root / "proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return True


def host_name() -> str:
    """The node name that kubeadm would choose: the host name in lower case."""
    return socket.gethostname().strip().lower()


def default_address() -> str:
    """The address of the interface that the default route goes out of.

    Without a default route (a network cut off from the world) it is the first address of an interface
    that is up and belongs to no container network; loopback without any.

    Connecting a UDP socket sends nothing: it only asks the kernel which source it would use.
    """
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                address = str(probe.getsockname()[0])
        except OSError:
            continue
        if not address.startswith(("127.", "::1", "169.254.", "fe80:")):
            return address
    return next(_link_addresses(), "127.0.0.1")


def _link_addresses() -> Iterator[str]:
    import psutil

    state = psutil.net_if_stats()
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        if name.startswith(_NOT_THE_HOSTS) or not state[name].isup:
            continue
        for found in addresses:
            if found.family == socket.AF_INET and not found.address.startswith(
                ("127.", "169.254.")
            ):
                yield str(found.address)
