"""Runs that stop half-way: a second one completes, and a reset leaves nothing, from any state.

The name sorts before the tests that share one cluster: these need a host without any.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.leftovers import leftovers
from tests.e2e.shell import ADMIN, REPOSITORY, make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CONFIG = str(REPOSITORY / "inventory/single/cluster.yaml")


def kubeinstall(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kubeinstall", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(autouse=True)
def clean_host() -> Iterator[None]:
    if ADMIN.exists():
        pytest.fail("this machine has a cluster; take it off first: make down")
    if leftovers():  # of something that was ended in the middle
        make("down")
    yield
    make("down")
    assert leftovers() == []


def test_dry_run_changes_nothing_and_tells_what_init_then_does() -> None:
    planned = kubeinstall("init", "--config", CONFIG, "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert leftovers() == []
    assert "nothing was changed" in planned.stdout
    assert "create /etc/kubernetes/pki/apiserver.crt: missing" in planned.stdout
    done = kubeinstall("init", "--config", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr

    def changing(text: str) -> set[str]:
        lines = text.splitlines()
        return {line.partition(": changed (")[0] for line in lines if ": changed (" in line}

    assert changing(planned.stdout) == changing(done.stdout)
    again = kubeinstall("init", "--config", CONFIG, "--dry-run")
    assert changing(again.stdout) == set()


def test_taken_port_stops_before_anything_is_touched() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 10250))
        listener.listen()
        done = kubeinstall("init", "--config", CONFIG)
    assert done.returncode == 2
    assert "[ERROR Port-10250]: Port 10250 is in use by" in done.stdout
    assert "What to do: " in done.stdout
    assert [line for line in leftovers() if "/var/log/kubernetes" not in line] == []


def test_killed_run_is_completed_by_the_next() -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "kubeinstall", "init", "--config", CONFIG],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not Path("/etc/kubernetes/components.yaml").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(10)
    done = kubeinstall("init", "--config", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create /etc/kubernetes/pki/ca.crt" not in done.stdout


@pytest.mark.parametrize("phases", [["certs"], ["container-runtime"], ["certs", "kubeconfig"]])
def test_reset_after_some_phases_alone(phases: list[str]) -> None:
    for phase in phases:
        done = kubeinstall("init", "--config", CONFIG, "phase", phase)
        assert done.returncode == 0, done.stdout + done.stderr


def test_reset_after_the_supervisor_was_killed() -> None:
    pid_file = Path("/run/kubeinstall/supervisor.pid")
    done = kubeinstall("init", "--config", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    if not pid_file.exists():
        pytest.skip("systemd looks after the processes here")
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
