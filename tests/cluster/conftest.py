"""Real hosts: systemd-nspawn with SSH, made by molecule/hosts.py. They are made once for the whole folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
HOSTS = REPOSITORY / "molecule/hosts.py"
# Several runs share a machine when each has a tag and a network of its own.
TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "ct")
NETWORK = os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.142.0.0/24")
NEEDED = ("systemd-nspawn", "mmdebstrap", "nft", "ip", "ssh")
ADMIN = "/etc/kubernetes/admin.conf"


def missing() -> str:
    """Why hosts cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"needs {', '.join(absent)} (systemd-container, mmdebstrap, nftables)" if absent else ""


@dataclass
class Lab:
    """Hosts, their inventory, and what is done with them."""

    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)

    def hosts(self, *words: str, check: bool = True) -> str:
        """Call molecule/hosts.py."""
        environment = {
            **os.environ,
            "KUBEINSTALL_HOSTS_TAG": TAG,
            "KUBEINSTALL_HOSTS_NETWORK": NETWORK,
        }
        done = subprocess.run(
            [sys.executable, str(HOSTS), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"hosts.py {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *names: str) -> None:
        """Make or boot hosts."""
        answer = json.loads(self.hosts("up", *names))["all"]
        self.addresses.update(
            {name: host["ansible_host"] for name, host in answer["hosts"].items()}
        )
        self.login = {k: v for k, v in answer["vars"].items() if k != "ansible_python_interpreter"}

    def run(self, host: str, *command: str, check: bool = True) -> str:
        """Run a command inside a host."""
        return self.hosts("exec", host, "--", *command, check=check)

    def kubectl(self, host: str, *words: str) -> str:
        """kubectl on a host, through the host's own load balancer."""
        return self.run(host, "kubectl", f"--kubeconfig={self.kubeconfig(host)}", *words)

    def kubeconfig(self, host: str) -> str:
        """An administrator's kubeconfig on the host, whose server is the host's own load balancer."""
        path = "/root/balanced.conf"
        if not self.run(host, "sh", "-c", f"test -e {path} && echo yes || true").strip():
            source = next(name for name in self.control_planes if self.alive(name))
            document = yaml.safe_load(self.run(source, "cat", ADMIN))
            document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6445"
            self.write(host, path, yaml.safe_dump(document))
        return path

    def link(self, host: str, *, up: bool) -> None:
        """Connect a host to the others, or cut it off: nothing is refused then, all is silent."""
        outside = f"kiv{TAG}{self.addresses[host].rpartition('.')[2]}"
        state = "up" if up else "down"
        subprocess.run(["ip", "link", "set", outside, state], check=True)

    def write(self, host: str, path: str, text: str) -> None:
        """A file inside a host."""
        root = Path(f"/var/lib/kubeinstall-hosts{TAG}") / host / "root"
        (root / path.lstrip("/")).write_text(text)

    def alive(self, host: str) -> bool:
        """Whether the host runs."""
        lines = [line.split("\t") for line in self.hosts("list").splitlines()]
        return any(line[0] == host and line[2] != "-" for line in lines)

    @property
    def control_planes(self) -> list[str]:
        """In the inventory's order."""
        return ["a", "b", "c"]

    def inventory(self, workers: list[str], **shared: object) -> None:
        """Write the inventory of three control planes and these workers."""
        control = {name: {"ansible_host": self.addresses[name]} for name in self.control_planes}
        children = {
            "kube_control_plane": {"hosts": control},
            "etcd": {"hosts": {name: {} for name in control}},
            "kube_node": {
                "hosts": {name: {"ansible_host": self.addresses[name]} for name in workers}
            },
        }
        document = {"all": {"vars": {**self.login, **shared}, "children": children}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(document, sort_keys=False))

    def apply(self, *words: str, check: bool = True) -> tuple[str, float]:
        """`kubeinstall apply`; what it said, and the seconds it took."""
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "kubeinstall", "apply", "-i", str(self.folder), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        seconds = time.monotonic() - started
        said = done.stdout + done.stderr
        if check:
            assert done.returncode == 0, said
        return said, seconds


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three bare hosts, or as many as KUBEINSTALL_CLUSTER_HOSTS says."""
    reason = missing()
    if reason:
        pytest.skip(f"hosts cannot be made here: {reason}")
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.hosts("down")
    try:
        made.up(*"abcdefgh"[: int(os.environ.get("KUBEINSTALL_CLUSTER_HOSTS", "3"))])
        yield made
    finally:
        made.hosts("down")
