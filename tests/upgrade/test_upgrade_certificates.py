"""Certificates of the hosts that `test_upgrade` leaves (control plane a, worker b), and new authorities under load."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import yaml

from tests.upgrade.conftest import Lab
from tests.upgrade.test_upgrade import under_load, versions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PKI = "/etc/kubernetes/pki"
SERVED = (
    "echo | openssl s_client -connect $(hostname -I | cut -d' ' -f1):{port} 2>/dev/null"
    " | openssl x509 -noout -serial"
)
#: The key id in the header of each token that the kubelet of b gave a pod.
TOKENS = "for f in /var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token; do cut -d. -f1 $f; done | sort -u"
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: lasting, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
"""


def sh(lab: Lab, host: str, script: str) -> str:
    return lab.hosts("exec", host, "--", "sh", "-c", script).strip()


def test_a_host_that_was_taken_off_is_named(lab: Lab) -> None:
    done = lab.run(lab.folder / "new", "certs", "check-expiration")
    assert done.returncode == 1
    assert "could not be asked: c" in done.stderr
    assert "etcd-peer" in done.stdout
    inventory = yaml.safe_load((lab.folder / "lab/hosts.yml").read_text())
    del inventory["all"]["children"]["kube_node"]["hosts"]["c"]
    (lab.folder / "lab/hosts.yml").write_text(yaml.safe_dump(inventory))
    del lab.addresses["c"]


def test_every_host_tells_when_its_certificates_end(lab: Lab) -> None:
    done = lab.run(lab.folder / "new", "certs", "check-expiration")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {tuple(line.split()[:2]) for line in done.stdout.splitlines()}
    assert {("a", "apiserver"), ("a", "etcd-peer"), ("a", "kubelet.conf")} <= rows
    assert ("b", "kubelet.conf") in rows
    assert ("b", "apiserver") not in rows


def test_renewed_certificates_are_the_ones_that_are_served(lab: Lab) -> None:
    nothing = lab.run(lab.folder / "new", "certs", "renew", "all", "--within", "24h")
    assert nothing.returncode == 0, nothing.stdout + nothing.stderr
    assert "changed=0" in nothing.stdout.splitlines()[-1]
    before = {port: sh(lab, "a", SERVED.format(port=port)) for port in (6443, 2379, 2380, 10250)}
    assert all(before.values())
    done = lab.run(lab.folder / "new", "certs", "renew", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    after = {port: sh(lab, "a", SERVED.format(port=port)) for port in before}
    assert {port for port in before if after[port] != before[port]} == {6443, 2379, 2380}
    files = {6443: "apiserver", 2379: "etcd/server", 2380: "etcd/peer"}
    for port, name in files.items():
        assert sh(lab, "a", f"openssl x509 -noout -serial -in {PKI}/{name}.crt") == after[port]
    assert versions(lab) == dict.fromkeys("ab", "v1.37.0")


def test_new_authorities_cut_off_and_resumed_under_load(lab: Lab) -> None:
    # The runtime that `a` went back from had written its version into kubeadm-config.
    settled = lab.run(lab.folder / "new", "apply")
    assert settled.returncode == 0, settled.stdout + settled.stderr
    lab.kubectl("apply", "--validate=false", "-f", "/root/objects.yaml", text=SECRET)
    old = {name: sh(lab, "a", f"cat {PKI}/{name}") for name in ("ca.crt", "etcd/ca.crt", "sa.pub")}
    sh(lab, "a", "cp /etc/kubernetes/admin.conf /root/old.conf")
    tokens = sh(lab, "b", TOKENS)
    assert tokens
    lasting = _lasting(lab)
    with under_load(lab) as load:
        _cut_off_once_trusted(lab)
        refused = lab.run(lab.folder / "new", "apply")
        assert refused.returncode != 0
        assert "rotate-ca" in refused.stdout + refused.stderr
        done = lab.run(lab.folder / "new", "certs", "rotate-ca", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert load.failures == []
    assert load.answers > 100
    for name, before in old.items():
        now = sh(lab, "a", f"cat {PKI}/{name}")
        assert before not in now
        assert now.count("-----BEGIN") == 1, name
    assert sh(lab, "b", f"cat {PKI}/ca.crt") == sh(lab, "a", f"cat {PKI}/ca.crt")
    assert not set(sh(lab, "b", TOKENS).split()) & set(tokens.split())
    assert _lasting(lab).split(".")[0] != lasting.split(".")[0]
    bundle = lab.kubectl("get", "cm", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}")
    assert bundle.strip() == sh(lab, "a", f"cat {PKI}/ca.crt")
    with pytest.raises(AssertionError, match=r"x509|certificate|Unauthorized"):
        lab.hosts("exec", "a", "--", "kubectl", "--kubeconfig=/root/old.conf", "get", "nodes")
    assert versions(lab) == dict.fromkeys("ab", "v1.37.0")
    again = lab.run(lab.folder / "new", "apply")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "changed=0" in again.stdout.splitlines()[-1], again.stdout


def _lasting(lab: Lab) -> str:
    deadline = time.monotonic() + 30
    while True:
        token = lab.kubectl("get", "secret", "lasting", "-o", "jsonpath={.data.token}")
        if token:
            return sh(lab, "a", f"echo {token} | base64 -d")
        assert time.monotonic() < deadline, "the Secret got no token"
        time.sleep(0.5)


def _cut_off_once_trusted(lab: Lab) -> None:
    """Begin, and kill the command when the control plane trusts both authorities."""
    command = [sys.executable, "-m", "kubeinstall", "certs", "rotate-ca", "--yes"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(lab.folder / "new"),
        "XDG_CACHE_HOME": str(lab.folder / "cache"),
    }
    with subprocess.Popen(
        [*command, "-i", str(lab.folder / "lab")],
        cwd=lab.folder / "new",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        try:
            deadline = time.monotonic() + 120
            while sh(lab, "a", f"grep -c BEGIN {PKI}/ca.crt") != "2":
                assert run.poll() is None, "it ended before it could be cut off"
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            run.kill()
    assert sh(lab, "a", f"ls {PKI}/rotation") != ""
