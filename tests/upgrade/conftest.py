"""Two builds of kubeinstall, and a small cluster of real hosts made by the first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import HOSTS, REPOSITORY, missing

TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "ut")
NETWORK = os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.146.0.0/24")
ADMIN = "/etc/kubernetes/admin.conf"


@dataclass
class Lab:
    """One control plane, two workers. `old` and `new` are folders with a build each."""

    folder: Path
    addresses: dict[str, str]

    def hosts(self, *words: str) -> str:
        """Call molecule/hosts.py."""
        tags = {"KUBEINSTALL_HOSTS_TAG": TAG, "KUBEINSTALL_HOSTS_NETWORK": NETWORK}
        done = subprocess.run(
            [sys.executable, str(HOSTS), *words],
            env={**os.environ, **tags},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kubectl(self, *words: str, text: str = "") -> str:
        """kubectl on the control plane."""
        if text:
            root = Path(f"/var/lib/kubeinstall-hosts{TAG}/a/root")
            (root / "root/objects.yaml").write_text(text)
        return self.hosts("exec", "a", "--", "kubectl", f"--kubeconfig={ADMIN}", *words)

    def build(self, name: str, version: str, kubernetes: str) -> Path:
        """A copy of this tree that says that it is another version."""
        folder = self.folder / name
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("kubeinstall", "playbooks", "roles"):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=ignore)
        package = folder / "kubeinstall/__init__.py"
        lines = [
            f'__version__ = "{version}"' if line.startswith("__version__") else line
            for line in package.read_text().splitlines()
        ]
        lines = [
            f'KUBERNETES_VERSION = "{kubernetes}"' if line.startswith("KUBERNETES") else line
            for line in lines
        ]
        package.write_text("\n".join(lines) + "\n")
        return folder

    def run(self, build: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """kubeinstall of a build, over the inventory."""
        return subprocess.run(
            [sys.executable, "-m", "kubeinstall", *words, "-i", str(self.folder / "lab")],
            capture_output=True,
            text=True,
            check=False,
            cwd=build,
            env={
                **os.environ,
                "PYTHONPATH": str(build),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            },
        )


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Bare hosts a, b, c and their inventory."""
    reason = missing()
    if reason:
        pytest.skip(f"hosts cannot be made here: {reason}")
    folder = tmp_path_factory.mktemp("upgrade")
    made = Lab(folder, {})
    made.hosts("down")
    try:
        answer = json.loads(made.hosts("up", "a", "b", "c"))["all"]
        made.addresses.update({n: h["ansible_host"] for n, h in answer["hosts"].items()})
        login = {k: v for k, v in answer["vars"].items() if k != "ansible_python_interpreter"}
        hosts = {n: {"ansible_host": a} for n, a in made.addresses.items()}
        children = {
            "kube_control_plane": {"hosts": {"a": hosts["a"]}},
            "etcd": {"hosts": {"a": {}}},
            "kube_node": {"hosts": {"b": hosts["b"], "c": hosts["c"]}},
        }
        (folder / "lab").mkdir()
        (folder / "lab/hosts.yml").write_text(
            yaml.safe_dump({"all": {"vars": login, "children": children}})
        )
        yield made
    finally:
        made.hosts("down")
