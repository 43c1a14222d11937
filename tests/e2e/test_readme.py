"""README's snippets for a running cluster, executed as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.shell import REPOSITORY, Kubectl, environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def blocks() -> list[str]:
    text = (REPOSITORY / "README.md").read_text()
    return re.findall(r"^```sh cluster\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.splitlines()[-1][:40])
def test_snippet(kubectl: Kubectl, block: str) -> None:
    assert kubectl("get", "nodes")
    path = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", block],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=REPOSITORY,
        env={**environment(), "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
