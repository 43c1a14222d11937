"""A node for tests: a containerd of its own, with the images it needs, and a kubelet process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.images import build_preset, import_image
from kubeinstall.kubelet.cri import CRI, CRIError

BRIDGE, SUBNET = "kltest0", "10.213.77.0/24"
REPOSITORY = Path(__file__).resolve().parents[2]

_CONTAINERD = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "registry.k8s.io/pause:3.10"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{folder}/runc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""


def missing() -> str:
    """Why these tests cannot run here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("containerd", "runc", "ctr") if shutil.which(name) is None]
    if not Path("/usr/lib/cni/bridge").exists():
        absent.append("containernetworking-plugins")
    return f"not installed: {', '.join(absent)}" if absent else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Containerd:
    """Started by `start()`; `socket` is its CRI endpoint."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    def prepare(self) -> None:
        (self.folder / "cni").mkdir(parents=True)
        (self.folder / "config.toml").write_text(_CONTAINERD.format(folder=self.folder))
        network = {
            "cniVersion": "0.4.0",
            "name": "kltest",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": BRIDGE,
                    "isGateway": True,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": SUBNET}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "dataDir": str(self.folder / "ipam"),
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
        (self.folder / "cni/10-test.conflist").write_text(json.dumps(network))

    def start(self) -> None:
        with (self.folder / "containerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["containerd", "--config", str(self.folder / "config.toml")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            done = subprocess.run(self._ctr("version"), capture_output=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "containerd.log").read_text()[-2000:])

    def _ctr(self, *arguments: str) -> list[str]:
        return ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments]

    def snapshots(self) -> str:
        """The list of snapshots, as `ctr` prints it."""
        said = subprocess.run(
            self._ctr("snapshots", "list"), capture_output=True, text=True, check=True
        )
        return said.stdout

    def tasks(self) -> list[str]:
        """Ids of what runs."""
        said = subprocess.run(
            self._ctr("tasks", "list", "-q"), capture_output=True, text=True, check=True
        )
        return said.stdout.split()

    def pids(self) -> dict[str, int]:
        """Id → process of what runs."""
        said = subprocess.run(
            self._ctr("tasks", "list"), capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in said.stdout.splitlines()[1:]]
        return {row[0]: int(row[1]) for row in rows if row[2] == "RUNNING"}

    def _end_shims(self) -> None:
        """containerd leaves a shim without a task where a client vanished in the middle of a start."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if str(self.socket).encode() in words and b"shim" in words[0]:
                    os.kill(int(folder.name), signal.SIGTERM)

    async def _remove_sandboxes(self) -> None:
        cri = CRI(str(self.socket), timeout=10)
        for sandbox in await cri.list_sandboxes():
            await cri.stop_sandbox(sandbox.id)
            await cri.remove_sandbox(sandbox.id)
        await cri.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def clean(self) -> None:
        """Remove every sandbox, end containerd, take away the bridge and mounts."""
        for pid in self.pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(CRIError, TimeoutError):
            asyncio.run(asyncio.wait_for(self._remove_sandboxes(), 30))
        self.stop()
        self._end_shims()
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)
        unmount_below(self.folder)


def unmount_below(folder: Path) -> None:
    """Detach every mount at or below `folder`."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(str(folder))), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


@dataclass
class KubeletProcess:
    """A kubelet on its own directories and ports."""

    folder: Path
    containerd: Containerd
    kubeconfig: Path
    name: str = "test-node"
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    health_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.health_port = free_port(), free_port()
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.port,
            "healthzPort": self.health_port,
            "podLogsDir": str(self.folder / "log/pods"),
            "clusterDNS": ["10.96.0.10"],
            "clusterDomain": "cluster.local",
            # Tests share the machine: its disk and memory are nothing to evict pods for.
            "evictionHard": {"memory.available": "1Mi"},
            "imageGCHighThresholdPercent": 100,
            "nodeStatusUpdateFrequency": "1s",
            **self.config,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        settings = {
            "kubeconfig": str(self.kubeconfig),
            "config": str(self.folder / "config.yaml"),
            "container-runtime-endpoint": f"unix://{self.containerd.socket}",
            "root-dir": str(self.folder / "kubelet"),
            "cert-dir": str(self.folder / "pki"),
            "hostname-override": self.name,
            "node-ip": "127.0.0.1",
            "cgroup-root": f"/kltest-{os.getpid()}",
            **self.settings,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def start(self) -> None:
        with (self.folder / "kubelet.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.kubelet.run_kubelet",
                    str(self.folder / "settings.json"),
                ],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
            )

    def log(self) -> str:
        return (self.folder / "kubelet.log").read_text()

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            if self.process.poll() is None:
                self.kill()
            self.process = None

    def clean(self) -> None:
        self.stop()
        unmount_below(self.folder)
        remove_cgroups(f"kltest-{os.getpid()}")


def remove_cgroups(name: str) -> None:
    """Remove an empty cgroup tree in every hierarchy."""
    for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        folder = top / name
        if not folder.is_dir():
            continue
        for base, folders, _files in os.walk(folder, topdown=False):
            for inner in folders:
                with contextlib.suppress(OSError):
                    (Path(base) / inner).rmdir()
        with contextlib.suppress(OSError):
            folder.rmdir()


def install_images(containerd: Containerd, folder: Path) -> None:
    """The sandbox and busybox."""
    for preset in ("pause", "busybox"):
        import_image(build_preset(preset, output=folder / f"{preset}.tar").path, containerd.socket)
