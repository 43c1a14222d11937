"""A worker that joins by hand: stopped half-way and gone on with, its certificates and its pods."""

from __future__ import annotations

import json
import re
import socket
import ssl

import pytest

from tests.join.conftest import FIRST, WORKER, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

PKI = "/var/lib/kubelet/pki"
CURRENT = f"readlink {PKI}/kubelet-client-current.pem"
PROCESS = "systemctl show kubelet -p MainPID -p NRestarts"


def test_a_join_that_stopped_goes_on_and_makes_a_node(lab: Lab) -> None:
    command = lab.command()
    token = re.search(r"--token (\S+)", command)
    assert token
    # A package that cannot be had: by who decides for this host, and for want of a mirror.
    lists = "/etc/apt/sources.list.d"
    pin = "/etc/apt/preferences.d/no-conntrack"
    lab.ok(
        WORKER,
        "dpkg --remove --force-depends conntrack; rm -f /var/cache/apt/archives/*.deb; "
        f"printf 'Package: conntrack\nPin: release *\nPin-Priority: -1\n' > {pin}",
    )
    answer = lab.run(WORKER, command)
    assert (answer.code, "conntrack" in answer.text) == (1, True), answer.text
    assert "run the same command again" in answer.text
    lab.ok(WORKER, f"rm {pin}; mv {lists} {lists}.away; rm -rf /var/lib/apt/lists/*")
    answer = lab.run(WORKER, command)
    lab.ok(WORKER, f"mv {lists}.away {lists}")
    assert (answer.code, "conntrack" in answer.text) == (1, True), answer.text
    assert "run the same command again" in answer.text

    text = lab.ok(WORKER, command)
    assert "UnfinishedJoin" in text
    assert "This node has joined the cluster" in text
    assert lab.ready(WORKER)
    node = lab.get(f"node {WORKER}")
    assert not node["spec"].get("taints")
    assert "node-role.kubernetes.io/control-plane" not in node["metadata"]["labels"]
    # The node's identity is its own, and the token is nowhere on it.
    requests = lab.get("csr")["items"]
    [mine] = [r for r in requests if r["spec"]["username"].startswith("system:bootstrap:")]
    assert mine["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"
    assert [c["reason"] for c in mine["status"]["conditions"]] == ["AutoApproved"]
    lab.joined = lab.ok(WORKER, CURRENT), lab.ok(WORKER, PROCESS)
    assert re.fullmatch(rf"{PKI}/kubelet-client-[\d-]+\.pem", lab.joined[0])
    assert lab.run(WORKER, f"grep -rF {token[1]} /etc/kubernetes /var/lib/kubelet").code == 1
    left = lab.run(
        WORKER, "ls /var/lib/kubeinstall/join.json /etc/kubernetes/bootstrap-kubelet.conf"
    )
    assert left.text.count("No such file") == 2
    assert lab.ok(WORKER, "ls /etc/kubernetes/pki") == "ca.crt"


def test_a_node_does_not_join_twice(lab: Lab) -> None:
    answer = lab.run(WORKER, lab.command())
    assert answer.code == 2
    assert "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]" in answer.text
    assert "kubeinstall reset" in answer.text
    assert lab.ready(WORKER)


def test_a_serving_certificate_is_signed_once_somebody_approves_it(lab: Lab) -> None:
    """`serverTLSBootstrap`: until then the kubelet shows one that it signed itself."""
    authority = lab.ok(FIRST, "cat /etc/kubernetes/pki/ca.crt")
    address = lab.addresses[WORKER]
    context = ssl.create_default_context(cadata=authority)

    def shown() -> str:
        try:
            with (
                socket.create_connection((address, 10250), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=address) as secured,
            ):
                names = dict(part[0] for part in secured.getpeercert()["subject"])  # type: ignore[index,misc] # its stub says any value
                return str(names["commonName"])
        except ssl.SSLCertVerificationError as error:
            return error.verify_message

    assert "self-signed" in shown()

    def waiting() -> list[str]:
        return [
            request["metadata"]["name"]
            for request in lab.get("csr")["items"]
            if request["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
            and request["spec"]["username"] == f"system:node:{WORKER}"
            and not request["status"]
        ]

    lab.wait("a request for a serving certificate", lambda: bool(waiting()))
    assert lab.ok(FIRST, "kubectl get csr | grep kubelet-serving | grep Pending")
    lab.ok(FIRST, f"kubectl certificate approve {' '.join(waiting())}")
    lab.wait("the signed certificate is shown", lambda: shown() == f"system:node:{WORKER}")
    assert re.search(
        r"kubelet-server-[\d-]+\.pem", lab.ok(WORKER, f"readlink {PKI}/kubelet-server-current.pem")
    )


def test_pods_services_and_names_work_across_hosts(lab: Lab) -> None:
    place = json.dumps({"spec": {"nodeName": WORKER}})
    lab.ok(FIRST, f"kubectl run web --image=nginx --port=80 --expose --overrides='{place}'")
    lab.ok(FIRST, "kubectl wait --for=condition=Ready pod/web --timeout=60s")
    pod = lab.get("pod web")
    assert pod["spec"]["nodeName"] == WORKER
    service = lab.ok(FIRST, "kubectl get service web -o jsonpath={.spec.clusterIP}")
    fetch = (
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://{}\", timeout=5).status)'"
    )
    for host in (FIRST, WORKER):
        for address in (pod["status"]["podIP"], service):
            assert lab.ok(host, fetch.format(address)) == "200", (host, address)
    look = "busybox nslookup web.default.svc.cluster.local 10.96.0.10"
    for host in (FIRST, WORKER):
        assert service in lab.ok(host, look)
    assert "nginx" in lab.ok(FIRST, "kubectl logs web; kubectl exec web -- nginx -v").lower()
    lab.ok(FIRST, "kubectl delete pod,service web --wait=false")
