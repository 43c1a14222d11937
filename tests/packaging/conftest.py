"""What is delivered: the wheel in a virtual environment of its own, the collection in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_UNWANTED = shutil.ignore_patterns(".git", ".venv*", "dist", "build", "__pycache__", ".*_cache")


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """Output of a command that must succeed; nothing of this checkout is in its environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "PYTHON"))}
    result = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@dataclass(frozen=True)
class Installed:
    """A virtual environment that has the wheel and what it requires, and a folder far from the checkout."""

    venv: Path
    folder: Path

    def run(self, *words: str | Path, **environment: str) -> str:
        """A command of the virtual environment."""
        command = [self.venv / "bin" / words[0], *words[1:]]
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return run(command, self.folder, **{"PATH": path, **environment})


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree: a build writes generated files into the tree that it builds."""
    source = tmp_path_factory.mktemp("tree") / "kubeinstall"
    return Path(shutil.copytree(ROOT, source, ignore=_UNWANTED, ignore_dangling_symlinks=True))


@pytest.fixture(scope="session")
def wheel(tree: Path) -> Path:
    """As `make wheel` builds it."""
    source, output = tree, tree / "dist"
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        output,
        source,
    ]
    run(words, source)
    (built,) = output.glob("kubeinstall-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel is installed as a user would; its requirements are those of this interpreter, so no index is asked."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv = folder / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", venv], folder)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", venv / "bin/python"]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # A line of a .pth file is only a folder: the .pth file of this checkout in it is not read.
    requirements = venv / "lib" / version / "site-packages/requirements.pth"
    requirements.write_text(sysconfig.get_path("purelib") + "\n")
    for name in ("playbook", "galaxy"):
        script = venv / "bin" / f"ansible-{name}"
        script.write_text(
            f"#!{venv}/bin/python\nfrom ansible.cli.{name} import main\nraise SystemExit(main())\n"
        )
        script.chmod(0o755)
    return Installed(venv, folder)
