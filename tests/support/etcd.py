"""A real etcd for tests: Debian's, on free ports of loopback."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_SECONDS = 20.0


@dataclass
class RunningEtcd:
    """A cluster of one or more members; `url` is what the storage driver takes."""

    directory: Path
    ports: list[tuple[int, int]]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    arguments: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """All members."""
        return "etcd://" + ",".join(f"127.0.0.1:{client}" for client, _ in self.ports)

    def start(self, index: int) -> None:
        """Start a member, or start it again."""
        client, peer = self.ports[index]
        cluster = ",".join(f"m{i}=http://127.0.0.1:{p}" for i, (_, p) in enumerate(self.ports))
        command = [
            "etcd",
            f"--name=m{index}",
            f"--data-dir={self.directory}/etcd-{index}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster={cluster}",
            "--heartbeat-interval=50",
            "--election-timeout=500",
            *self.arguments,
        ]
        with (self.directory / f"etcd-{index}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        if index < len(self.processes):
            self.processes[index] = process
        else:
            self.processes.append(process)

    def kill(self, index: int) -> None:
        """kill -9 one member."""
        self.processes[index].send_signal(signal.SIGKILL)
        self.processes[index].wait()

    def stall(self, index: int, *, on: bool = True) -> None:
        """A member that hangs, as on a disk that does not answer; its connections stay open."""
        self.processes[index].send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def await_healthy(self) -> None:
        """Until every member has a leader."""
        deadline = time.monotonic() + START_SECONDS
        for client, _ in self.ports:
            while not _healthy(client):
                if time.monotonic() > deadline:
                    raise RuntimeError("etcd did not start")
                time.sleep(0.05)


@contextlib.contextmanager
def run_etcd(
    directory: Path, members: int = 1, arguments: tuple[str, ...] = ()
) -> Iterator[RunningEtcd]:
    """A fresh cluster below `directory`; ended afterwards."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed (Debian: etcd-server)")
    ports = [(_free_port(), _free_port()) for _ in range(members)]
    cluster = RunningEtcd(directory, ports, arguments=arguments)
    try:
        for index in range(members):
            cluster.start(index)
        cluster.await_healthy()
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
