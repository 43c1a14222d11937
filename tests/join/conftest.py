"""Three real Debian hosts, made by molecule/hosts.py: one is a cluster that `kubeinstall apply` made, two are bare and
have kubeinstall installed, as who joins by hand has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.provision.archive import Archive, controller_archive

REPOSITORY = Path(__file__).parents[2]
HOSTS = REPOSITORY / "molecule/hosts.py"
TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "jn")
NETWORK = os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.143.0.0/24")
NEEDED = ("systemd-nspawn", "mmdebstrap", "nft", "ip", "ssh")
#: The cluster; a host to be a worker; a host to be its second control plane.
FIRST, WORKER, PLANE = "p", "n", "m"
BIN = "/root/venv/bin"
_ENTRY = "#!/root/venv/bin/python\nfrom {module} import main\nmain()\n"
SCRIPTS = {"kubeinstall": "kubeinstall.cli.main", "ansible-playbook": "ansible.cli.playbook"}
#: Short, so that kubelets are seen to renew their certificates; and their serving certificates are the cluster's.
SETTINGS = {
    "kubeinstall_cluster": {
        "controllerManager": {
            "extraArgs": [{"name": "cluster-signing-duration", "value": "2m0s"}],
        },
    },
    "kubeinstall_kubelet": {"serverTLSBootstrap": True},
}


def missing() -> str:
    """Why hosts cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"needs {', '.join(absent)} (systemd-container, mmdebstrap, nftables)" if absent else ""


@dataclass
class Answer:
    """What a command said, both streams together."""

    code: int
    text: str


@dataclass
class Lab:
    """The hosts, and what is done on them."""

    folder: Path = Path("/nonexistent")
    addresses: dict[str, str] = field(default_factory=dict)
    login: dict[str, str] = field(default_factory=dict)
    #: The worker's client certificate and its kubelet's process, as they were when it had joined.
    joined: tuple[str, str] = ("", "")

    def hosts(self, *words: str) -> str:
        """Call molecule/hosts.py."""
        done = subprocess.run(
            [sys.executable, str(HOSTS), *words],
            env={**os.environ, "KUBEINSTALL_HOSTS_TAG": TAG, "KUBEINSTALL_HOSTS_NETWORK": NETWORK},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"hosts.py {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *names: str) -> None:
        """Make and boot hosts."""
        answer = json.loads(self.hosts("up", *names))["all"]
        self.login = answer["vars"]
        self.addresses.update({n: host["ansible_host"] for n, host in answer["hosts"].items()})

    def run(self, host: str, script: str) -> Answer:
        """A shell script on a host; it may fail."""
        path = f"export PATH={BIN}:/usr/local/bin:$PATH KUBECONFIG=/etc/kubernetes/admin.conf"
        wrapped = f"exec 2>&1\n({path}\n{script}\n)\nprintf '\\n%s' $?"
        text, _, code = self.hosts("exec", host, "--", "bash", "-c", wrapped).rpartition("\n")
        return Answer(int(code), text)

    def ok(self, host: str, script: str) -> str:
        """A shell script on a host; it may not fail."""
        answer = self.run(host, script)
        assert answer.code == 0, f"{host}: {script}:\n{answer.text}"
        return answer.text.strip()

    def get(self, what: str) -> dict[str, Any]:
        """`kubectl get … -o json` on the first host."""
        found: dict[str, Any] = json.loads(self.ok(FIRST, f"kubectl get {what} -o json"))
        return found

    def wait(self, what: str, true: Callable[[], bool], seconds: float = 60.0) -> None:
        """Until it is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not after {seconds:.0f} s: {what}"
            time.sleep(0.5)

    def root(self, host: str) -> Path:
        """The host's file system, seen from here."""
        return Path(f"/var/lib/kubeinstall-hosts{TAG}") / host / "root"

    def install(self, host: str, archive: Archive) -> None:
        """kubeinstall and all that it needs, as it is here."""
        self.ok(host, "python3 -m venv --without-pip /root/venv")
        venv = self.root(host) / "root/venv"
        packages = venv / f"lib/python{archive.python}/site-packages"
        if not packages.is_dir():
            pytest.skip(f"the hosts' Python is not {archive.python}")
        with tarfile.open(archive.path) as tar:
            tar.extractall(packages, filter="data")
        for name, module in SCRIPTS.items():
            script = venv / "bin" / name
            script.write_text(_ENTRY.format(module=module))
            script.chmod(0o755)

    def apply(self, host: str) -> None:
        """A cluster with etcd on one host, by `kubeinstall apply`."""
        entry = {"hosts": {host: {"ansible_host": self.addresses[host]}}}
        groups = {"kube_control_plane": entry, "etcd": entry, "kube_node": entry}
        document = {"all": {"vars": {**self.login, **SETTINGS}, "children": groups}}
        (self.folder / "hosts.yml").write_text(json.dumps(document))
        done = subprocess.run(
            [sys.executable, "-m", "kubeinstall", "apply", "-i", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self, *words: str) -> str:
        """A fresh join command, in one line."""
        create = f"kubeinstall token create --print-join-command {' '.join(words)}"
        return " ".join(self.ok(FIRST, create).replace("\\", " ").split())

    def share_certificates(self) -> str:
        """`init phase upload-certs`; the key."""
        key = self.ok(FIRST, "kubeinstall init phase upload-certs").split()[-1]
        assert re.fullmatch(r"[0-9a-f]{64}", key)
        return key

    def ready(self, node: str) -> bool:
        """Whether the node says that it is."""
        conditions = self.get(f"node {node}")["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster of one host, and two bare hosts beside it."""
    why = missing()
    if why:
        pytest.skip(f"real hosts cannot be made here: {why}")
    folder = tmp_path_factory.mktemp("join")
    archive = controller_archive(folder / "kubeinstall.tar.gz")
    made = Lab(folder / "inventory")
    made.folder.mkdir()
    try:
        made.up(FIRST, WORKER, PLANE)
        for host in (WORKER, PLANE):
            made.install(host, archive)
        made.apply(FIRST)
        yield made
    finally:
        made.hosts("down")
