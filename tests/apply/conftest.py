"""Three bare hosts for the ways of running `apply`: dry, from a bundle, limited, interrupted, undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import HOSTS, REPOSITORY, missing

TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "ap")
NETWORK = os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.147.0.0/24")
_ENVIRONMENT = {"KUBEINSTALL_HOSTS_TAG": TAG, "KUBEINSTALL_HOSTS_NETWORK": NETWORK}


@dataclass
class Lab:
    """Hosts a, b, c. Their packages are taken off, as on a host that has never seen Kubernetes."""

    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)
    login: dict[str, Any] = field(default_factory=dict)

    def hosts(self, *words: str, text: str | None = None) -> str:
        """Call molecule/hosts.py."""
        done = subprocess.run(
            [sys.executable, str(HOSTS), *words],
            env={**os.environ, **_ENVIRONMENT},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"hosts.py {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *names: str) -> None:
        """Make and boot hosts."""
        answer = json.loads(self.hosts("up", *names))["all"]
        self.addresses = {name: host["ansible_host"] for name, host in answer["hosts"].items()}
        self.login = {k: v for k, v in answer["vars"].items() if k != "ansible_python_interpreter"}

    def run(self, host: str, script: str) -> str:
        """What a shell on the host prints."""
        return self.hosts("exec", host, "--", "sh", "-c", script)

    def inventory(self, control_planes: str, workers: str = "") -> None:
        """Write the inventory: a letter a host."""
        where = {name: {"ansible_host": address} for name, address in self.addresses.items()}
        children = {
            "kube_control_plane": {"hosts": {name: where[name] for name in control_planes}},
            "etcd": {"hosts": {name: {} for name in control_planes}},
            "kube_node": {"hosts": {name: where[name] for name in workers}},
        }
        document = {"all": {"vars": self.login, "children": children}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A kubeinstall command over the inventory, started."""
        command = [sys.executable, "-m", "kubeinstall", *words, "-i", str(self.folder)]
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *words: str, code: int = 0) -> str:
        """Run one to its end, which must be `code`; what it said."""
        with self.start(*words) as process:
            said, _ = process.communicate()
        assert process.returncode == code, said
        return said


def bare(lab: Lab) -> None:
    """No package of ours, and no way to a mirror: only what a bundle brings can be installed."""
    purge = (
        "apt-get purge -y -qq haproxy etcd-server etcd-client containerd runc kubernetes-client conntrack nftables "
        "containernetworking-plugins >/dev/null 2>&1; rm -rf /var/lib/apt/lists/* /etc/containerd; "
        "ip route del default; : > /etc/resolv.conf; ! ip route get 192.0.2.1 2>/dev/null"
    )
    for name in lab.addresses:
        lab.run(name, purge)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three hosts without packages and without a network to anywhere else."""
    reason = missing()
    if reason:
        pytest.skip(f"hosts cannot be made here: {reason}")
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.hosts("down")
    try:
        made.up(*"abc")
        bare(made)
        yield made
    finally:
        made.hosts("down")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `kubeinstall bundle create` makes it."""
    path = tmp_path_factory.mktemp("bundle") / "bundle.tar"
    command = [sys.executable, "-m", "kubeinstall", "bundle", "create", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return path
