"""What a host has that a reset must not leave."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.shell import output

FILES = (
    "/etc/kubernetes",
    "/var/lib/kubelet",
    "/var/lib/kubeinstall",
    "/run/kubeinstall",
    "/var/log/kubernetes",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/sysctl.d/99-kubeinstall.conf",
    "/etc/modules-load.d/kubeinstall.conf",
    "/etc/cni/net.d/10-kubeinstall.conflist",
)


def leftovers() -> list[str]:
    """Everything of a cluster that is on this host, one line each; empty on a clean one."""
    return [*_processes(), *_files(), *_network(), *_mounts(), *_cgroups()]


def _processes() -> list[str]:
    found = []
    here = Path("/proc/self/ns/pid").readlink()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if (path.parent / "ns/pid").readlink() != here:
                continue  # of another (virtual) host on this machine
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        ours = (
            "/etc/kubernetes/components.yaml" in words or "/etc/kubernetes/supervisor.yaml" in words
        )
        shim = "containerd-shim" in words[0] and "/run/containerd/containerd.sock" in words
        if ours or (shim and "k8s.io" in words):
            found.append(f"process {path.parent.name}: {' '.join(words)}")
    return found


def _files() -> list[str]:
    units = Path("/etc/systemd/system").glob("kube*.service")
    return [path for path in FILES if Path(path).exists()] + [str(unit) for unit in units]


def _network() -> list[str]:
    listed = output(["ip", "-brief", "link"]).splitlines()
    links = [line.split()[0].partition("@")[0] for line in listed]
    found = [f"interface {name}" for name in links if name in ("cni0", "kubevxlan")]
    tables = output(["nft", "list", "tables"]).splitlines()
    found += [line for line in tables if "kube-proxy" in line or "kube-podnet" in line]
    addresses = output(["ip", "-brief", "address", "show", "dev", "lo"])
    found += [f"address {word} on lo" for word in addresses.split() if word.startswith("10.96.")]
    return found


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return [f"mount {p}" for p in points if p.startswith("/var/lib/kubelet")]


def _cgroups() -> list[str]:
    root = Path("/sys/fs/cgroup")
    places = [*root.glob("kubepods*"), *root.glob("*/kubepods*")]
    return [f"cgroup {path}" for path in places]
