"""`kubeinstall join` by hand on real hosts: errors that leave a host that can be tried again, and a node that works."""

from __future__ import annotations

import json
import re

import pytest

from tests.join.conftest import FIRST, SECOND, Lab

# Each is some seconds on an idle machine; the first one also makes the hosts.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

ZEROS = "sha256:" + "0" * 64


def test_errors_leave_a_bare_host(lab: Lab) -> None:
    """In one test, since each is a matter of seconds and all need the same bare host."""
    command = lab.command()
    wrong = re.sub(r"sha256:\w+", ZEROS, command)
    answer = lab.run(SECOND, wrong)
    assert (answer.code, "is not pinned" in answer.text) == (1, True), answer.text

    secret = re.sub(r"(--token \w{6})\.\w{16}", r"\1.0123456789abcdef", command)
    answer = lab.run(SECOND, secret)
    assert (answer.code, "does not fit the token" in answer.text) == (1, True), answer.text
    assert "0123456789abcdef" not in answer.text

    short = lab.ok(FIRST, "kubeinstall token create --ttl 1s")
    expired = re.sub(r"--token \S+", f"--token {short}", command)
    answer = lab.run(SECOND, f"sleep 2; {expired}")
    assert answer.code == 1
    assert "has expired" in answer.text
    assert "kubeinstall token create --print-join-command" in answer.text

    answer = lab.run(SECOND, f"{command} --node-name {FIRST}")
    assert (answer.code, "already exists in the cluster" in answer.text) == (1, True), answer.text

    key = "0" * 64
    answer = lab.run(SECOND, f"{command} --control-plane --certificate-key {key}")
    assert (answer.code, "SQLite" in answer.text) == (1, True), answer.text

    full = f"mount -t tmpfs -o size=100m none /var/lib && {{ {command}; code=$?; umount /var/lib; exit $code; }}"
    answer = lab.run(SECOND, full)
    assert (answer.code, "DiskSpace--var-lib" in answer.text) == (2, True), answer.text

    gone = command.replace(lab.addresses[FIRST], "10.143.0.250")
    lab.ok(SECOND, f"timeout 25 {gone} | grep 'cannot reach the cluster'")

    left = lab.ok(SECOND, "ls -A /etc/kubernetes /var/lib/kubeinstall /var/lib/kubelet || true")
    assert "join.json" not in left
    assert ".conf" not in left


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    text = lab.ok(SECOND, f"{lab.command()} --dry-run")
    assert "nothing was changed" in text
    assert "bootstrap-kubelet.conf" in text
    assert lab.run(SECOND, "test -e /etc/kubernetes").code == 1


def test_a_join_that_stopped_goes_on_and_makes_a_node(lab: Lab) -> None:
    command = lab.command()
    token = re.search(r"--token (\S+)", command)
    assert token
    # A mirror that is not there: the packages cannot be installed, and the join stops in the middle.
    lists = "/etc/apt/sources.list.d"
    lab.ok(
        SECOND,
        f"dpkg --remove --force-depends conntrack && mv {lists} {lists}.away && rm -rf /var/lib/apt/lists/* "
        "/var/cache/apt/archives/*.deb",
    )
    answer = lab.run(SECOND, command)
    lab.ok(SECOND, f"mv {lists}.away {lists}")
    assert (answer.code, "conntrack" in answer.text) == (1, True), answer.text
    assert "run the same command again" in answer.text

    text = lab.ok(SECOND, command)
    assert "UnfinishedJoin" in text
    assert "This node has joined the cluster" in text
    node = json.loads(lab.ok(FIRST, f"kubectl get node {SECOND} -o json"))
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"
    assert not node["spec"].get("taints")
    assert "node-role.kubernetes.io/control-plane" not in node["metadata"]["labels"]
    # The node's identity is its own, and the token is nowhere on it.
    requests = json.loads(lab.ok(FIRST, "kubectl get csr -o json"))["items"]
    [mine] = [r for r in requests if r["spec"]["username"].startswith("system:bootstrap:")]
    assert [c["reason"] for c in mine["status"]["conditions"]] == ["AutoApproved"]
    current = lab.ok(SECOND, "readlink /var/lib/kubelet/pki/kubelet-client-current.pem")
    assert re.fullmatch(r"/var/lib/kubelet/pki/kubelet-client-[\d-]+\.pem", current)
    assert lab.run(SECOND, f"grep -rF {token[1]} /etc/kubernetes /var/lib/kubelet").code == 1
    assert lab.run(SECOND, "test -e /var/lib/kubeinstall/join.json").code == 1

    answer = lab.run(SECOND, command)
    assert answer.code == 2
    assert "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]" in answer.text


def test_pods_services_and_names_work_across_hosts(lab: Lab) -> None:
    place = json.dumps({"spec": {"nodeName": SECOND}})
    lab.ok(FIRST, f"kubectl run web --image=nginx --port=80 --expose --overrides='{place}'")
    lab.ok(FIRST, "kubectl wait --for=condition=Ready pod/web --timeout=60s")
    pod = json.loads(lab.ok(FIRST, "kubectl get pod web -o json"))
    assert pod["spec"]["nodeName"] == SECOND
    service = lab.ok(FIRST, "kubectl get service web -o jsonpath={.spec.clusterIP}")
    fetch = (
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://{}\", timeout=5).status)'"
    )
    for host in (FIRST, SECOND):
        for address in (pod["status"]["podIP"], service):
            assert lab.ok(host, fetch.format(address)) == "200", (host, address)
    name = "web.default.svc.cluster.local"
    look = f"busybox nslookup {name} 10.96.0.10"
    for host in (FIRST, SECOND):
        assert service in lab.ok(host, look)
    assert "nginx" in lab.ok(FIRST, "kubectl logs web; kubectl exec web -- nginx -v").lower()


def test_certificates_are_shared_encrypted_and_owned_by_a_token(lab: Lab) -> None:
    printed = lab.ok(FIRST, "kubeinstall init --config /root/cluster.yaml phase upload-certs")
    key = printed.split()[-1]
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    secret = json.loads(lab.ok(FIRST, "kubectl -n kube-system get secret kubeadm-certs -o json"))
    assert set(secret["data"]) == {
        *("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key"),
        *("sa.pub", "sa.key", "etcd-ca.crt", "etcd-ca.key", "encryption-config.yaml"),
    }
    [owner] = secret["metadata"]["ownerReferences"]
    lab.ok(FIRST, f"kubectl -n kube-system get secret {owner['name']}")
    lab.ok(FIRST, f"kubectl -n kube-system delete secret {owner['name']}")
    gone = "for i in $(seq 100); do kubectl -n kube-system get secret kubeadm-certs || exit 0; sleep 0.1; done; exit 1"
    lab.ok(FIRST, gone)


def test_a_host_that_was_reset_joins_again(lab: Lab) -> None:
    lab.ok(SECOND, "kubeinstall reset --force")
    assert lab.run(SECOND, "test -e /etc/kubernetes").code == 1
    lab.ok(FIRST, f"kubectl delete node {SECOND}")
    lab.ok(SECOND, lab.command())
    lab.ok(FIRST, f"kubectl wait --for=condition=Ready node/{SECOND} --timeout=30s")
