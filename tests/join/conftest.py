"""Two real Debian hosts, made by molecule/hosts.py, with kubeinstall installed on each: one is a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kubeinstall.provision.archive import Archive, controller_archive

REPOSITORY = Path(__file__).parents[2]
HOSTS = REPOSITORY / "molecule/hosts.py"
TAG = os.environ.get("KUBEINSTALL_HOSTS_TAG", "jn")
NETWORK = os.environ.get("KUBEINSTALL_HOSTS_NETWORK", "10.143.0.0/24")
NEEDED = ("systemd-nspawn", "mmdebstrap", "nft", "ip", "ssh")
FIRST, SECOND = "p", "n"
BIN = "/root/venv/bin"
_ENTRY = "#!/root/venv/bin/python\nfrom {module} import main\nmain()\n"
SCRIPTS = {"kubeinstall": "kubeinstall.cli.main", "ansible-playbook": "ansible.cli.playbook"}
CONFIG = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {taints: []}
"""


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

    addresses: dict[str, str] = field(default_factory=dict)

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
        answer = json.loads(self.hosts("up", *names))["all"]["hosts"]
        self.addresses.update({name: host["ansible_host"] for name, host in answer.items()})

    def run(self, host: str, script: str) -> Answer:
        """A shell script on a host; it may fail."""
        marked = f"export PATH={BIN}:$PATH KUBECONFIG=/etc/kubernetes/admin.conf\n{script}"
        wrapped = f"exec 2>&1\n({marked}\n)\nprintf '\\n%s' $?"
        text, _, code = self.hosts("exec", host, "--", "bash", "-c", wrapped).rpartition("\n")
        return Answer(int(code), text)

    def ok(self, host: str, script: str) -> str:
        """A shell script on a host; it may not fail."""
        answer = self.run(host, script)
        assert answer.code == 0, f"{host}: {script}:\n{answer.text}"
        return answer.text.strip()

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

    def command(self) -> str:
        """A fresh join command, in one line."""
        printed = self.ok(FIRST, "kubeinstall token create --print-join-command")
        return " ".join(printed.replace("\\", " ").split())


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster of one host, and a bare host beside it."""
    why = missing()
    if why:
        pytest.skip(f"real hosts cannot be made here: {why}")
    archive = controller_archive(tmp_path_factory.mktemp("join") / "kubeinstall.tar.gz")
    made = Lab()
    try:
        made.up(FIRST, SECOND)
        for host in (FIRST, SECOND):
            made.install(host, archive)
        (made.root(FIRST) / "root/cluster.yaml").write_text(CONFIG)
        made.ok(FIRST, "kubeinstall init --config /root/cluster.yaml")
        yield made
    finally:
        made.hosts("down")
