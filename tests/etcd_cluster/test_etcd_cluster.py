"""etcd of three real hosts: wiped and restored, keys rotated, a member lost. The order matters."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import ADMIN, Lab
from tests.etcd_cluster.conftest import command, kubeinstall

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PASSWORD = "correct horse"
OBJECTS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      tolerations: [{{operator: Exists}}]
      containers: [{{name: web, image: nginx, imagePullPolicy: IfNotPresent}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: precious}}
stringData: {{password: {PASSWORD}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: robot}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
subjects: [{{kind: ServiceAccount, name: robot, namespace: default}}]
"""
KINDS = "nodes,namespaces,deployments,replicasets,pods,secrets,configmaps,serviceaccounts,services,clusterroles"
ETCDCTL = (
    "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt "
    "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key"
)


def admin(lab: Lab, host: str, *words: str) -> str:
    """kubectl by the host's own API server."""
    return lab.run(host, "kubectl", f"--kubeconfig={ADMIN}", *words)


def uids(lab: Lab) -> dict[str, str]:
    """Kind, namespace and name → UID."""
    items = json.loads(admin(lab, "a", "get", KINDS, "-A", "-o", "json"))["items"]
    return {
        f"{i['kind']} {i['metadata'].get('namespace', '')}/{i['metadata']['name']}": i["metadata"][
            "uid"
        ]
        for i in items
    }


def revision(lab: Lab) -> int:
    listed = json.loads(admin(lab, "a", "get", "--raw", "/api/v1/namespaces"))
    return int(listed["metadata"]["resourceVersion"])


def stored_keys(lab: Lab) -> set[str]:
    """Names of the keys that Secrets are stored with, of etcd's raw values."""
    script = (
        f"{ETCDCTL} get --prefix /registry/core/secrets/ --print-value-only | "
        "grep -a -o '^k8s:enc:[a-z]*:v1:[^:]*' | sort -u"
    )
    return {line.rpartition(":")[2] for line in lab.run("b", "sh", "-c", script).split()}


def password(lab: Lab, host: str) -> str:
    found = admin(lab, host, "get", "secret", "precious", "-o", "jsonpath={.data.password}")
    return base64.b64decode(found).decode()


def test_install_with_timers(lab: Lab) -> None:
    lab.inventory([], kubeinstall_etcd_upkeep={"every": "6h", "keep": 2})
    lab.apply()
    lab.write("a", "/root/objects.yaml", OBJECTS)
    admin(lab, "a", "apply", "-f", "/root/objects.yaml")
    admin(lab, "a", "rollout", "status", "deployment/web", "--timeout=90s")
    for host in lab.addresses:
        assert "kubeinstall-etcd" in lab.run(host, "systemctl", "list-timers", "--no-legend")
    for _ in range(3):
        lab.run("b", "sh", "-c", "systemctl start kubeinstall-etcd.service; sleep 1.1")
    saved = lab.run("b", "ls", "/var/backups/kubeinstall/etcd").split()
    assert len(saved) == 2, saved


def test_wiped_and_restored(lab: Lab, tmp_path: Path) -> None:
    file, secret = tmp_path / "lab.backup", tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    lab.write("a", "/root/request.json", json.dumps(request))
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    made = json.loads(admin(lab, "a", "create", "--raw", path, "-f", "/root/request.json"))
    kubeconfig = lab.run("a", "cat", ADMIN)
    before, newest = uids(lab), revision(lab)
    said = kubeinstall(lab, "backup", "create", str(file), "--passphrase-file", str(secret))
    assert "encrypted" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD.encode() not in file.read_bytes()

    wanted = ("restore", str(file), "--passphrase-file", str(secret))
    assert "there is a cluster on this host" in kubeinstall(lab, *wanted, succeeds=False)
    document = yaml.safe_load((lab.folder / "hosts.yml").read_text())
    for group in ("kube_control_plane", "etcd"):
        del document["all"]["children"][group]["hosts"]["b"]
        del document["all"]["children"][group]["hosts"]["c"]
    other = Lab(tmp_path / "other", lab.addresses)
    other.folder.mkdir()
    (other.folder / "hosts.yml").write_text(yaml.safe_dump(document))
    said = kubeinstall(other, *wanted, "--force", succeeds=False)
    assert "etcd member b" in said
    assert password(lab, "b") == PASSWORD, "a refused restore has changed something"

    lab.hosts("down", "a", "b", "c")
    lab.up("a", "b", "c")
    kubeinstall(lab, *wanted)
    after = uids(lab)
    assert {key: after.get(key) for key in before} == before
    assert revision(lab) > newest
    assert password(lab, "c") == PASSWORD
    lab.write("b", "/root/old.conf", kubeconfig)
    assert "kube-system" in lab.run(
        "b", "kubectl", "--kubeconfig=/root/old.conf", "get", "namespaces"
    )
    listed = lab.run(
        "c",
        *("kubectl", f"--server=https://{lab.addresses['c']}:6443", "--insecure-skip-tls-verify"),
        *(f"--token={made['status']['token']}", "get", "pods", "-o", "name"),
    )
    assert len(listed.split()) == 2
    admin(lab, "a", "rollout", "restart", "deployment/web")
    admin(lab, "a", "rollout", "status", "deployment/web", "--timeout=90s")


def test_keys_rotate_on_all_control_planes_though_interrupted(lab: Lab) -> None:
    first = stored_keys(lab)
    assert len(first) == 1
    running = command(lab, "secrets-encryption", "rotate")
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("b: ") and "Write it" in line:
            break
    running.terminate()
    running.communicate()
    for host in lab.addresses:
        assert password(lab, host) == PASSWORD
    kubeinstall(lab, "secrets-encryption", "rotate")
    assert "the same keys" in kubeinstall(lab, "secrets-encryption", "status")
    second = stored_keys(lab)
    assert len(second) == 1
    assert second != first
    for host in lab.addresses:
        assert password(lab, host) == PASSWORD
        text = lab.run(host, "cat", "/etc/kubernetes/pki/encryption-config.yaml")
        assert not [name for name in first if f"name: {name}\n" in text]


def test_a_member_is_lost_and_replaced(lab: Lab) -> None:
    lab.hosts("kill", "c")
    refused = lab.run("a", "sh", "-c", "kubeinstall etcd remove b 2>&1 || echo refused")
    assert "would lose its quorum" in refused
    assert refused.strip().endswith("refused")
    admin(lab, "a", "create", "configmap", "without-c", "--request-timeout=10s")
    lab.hosts("down", "c")
    lab.up("c")
    kubeinstall(lab, "node", "replace", "c", "--yes")
    healthy = lab.run("b", "kubeinstall", "etcd", "status")
    assert healthy.count("healthy") == 3
    assert "NOT" not in healthy
    assert "without-c" in admin(lab, "c", "get", "configmaps", "-o", "name")


def test_reset_leaves_no_timer(lab: Lab) -> None:
    kubeinstall(lab, "reset", "--force")
    for host in lab.addresses:
        left = "ls -d /var/lib/etcd/member* /etc/systemd/system/*kubeinstall* 2>/dev/null || true"
        assert lab.run(host, "sh", "-c", left).strip() == ""
        assert "kubeinstall" not in lab.run(host, "systemctl", "list-timers", "--no-legend")
