"""Calling kubectl and make, and waiting for what they should show."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[2]
ADMIN = Path("/etc/kubernetes/admin.conf")
T = TypeVar("T")


class Kubectl:
    """The kubectl on the path, as the cluster's administrator."""

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - subprocess' word
        seconds: float = 60,
        ok: bool = True,
    ) -> str:
        """Run it and return what it printed; with `ok=False` it must fail, and errors count too."""
        done = self.run(*arguments, input=input, seconds=seconds)
        said = done.stdout if ok else done.stdout + done.stderr
        problem = f"kubectl {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode == 0) is ok, problem
        return said

    def run(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as above
        seconds: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        return subprocess.run(
            ["kubectl", *arguments],
            capture_output=True,
            text=True,
            input=input,
            timeout=seconds,
            check=False,
            env=environment(),
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it and leave it running."""
        return subprocess.Popen(
            ["kubectl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )

    def json(self, *arguments: str) -> Any:
        """`kubectl get … -o json`."""
        return json.loads(self("get", *arguments, "-o", "json"))

    def apply(self, name: str) -> None:
        """Apply a manifest of this folder."""
        self("apply", "-f", str(Path(__file__).parent / "manifests" / name))


def environment() -> dict[str, str]:
    """With the administrator's kubeconfig."""
    return {**os.environ, "KUBECONFIG": str(ADMIN)}


def make(target: str, *, seconds: float = 600) -> str:
    """`make TARGET` in the repository; what it printed."""
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"make {target}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def eventually(look: Callable[[], T], seconds: float = 30, pause: float = 0.2) -> T:
    """Call `look` until its assertions hold; the last failure when they never do."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return look()
        except (AssertionError, KeyError, IndexError, subprocess.TimeoutExpired):
            if time.monotonic() > deadline:
                raise
            time.sleep(pause)


def output(command: Sequence[str]) -> str:
    """What a command prints; empty when it is not there or fails."""
    try:
        return subprocess.run(
            list(command), capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except FileNotFoundError:
        return ""
