"""Three hosts with control plane and etcd each, for the whole folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import REPOSITORY, Lab, missing


def command(lab: Lab, *words: str) -> subprocess.Popen[str]:
    """`kubeinstall … -i` the lab's inventory, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "kubeinstall", *words, "-i", str(lab.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
    )


def kubeinstall(lab: Lab, *words: str, succeeds: bool = True) -> str:
    """What it said; it must end as expected."""
    running = command(lab, *words)
    said, _ = running.communicate()
    assert (running.returncode == 0) == succeeds, said
    return said


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three bare hosts."""
    reason = missing()
    if reason:
        pytest.skip(f"hosts cannot be made here: {reason}")
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.hosts("down")
    try:
        made.up("a", "b", "c")
        yield made
    finally:
        made.hosts("down")
