"""What a user does on a machine after `make up`, with real containers and an unmodified kubectl."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from tests.e2e.shell import Kubectl, eventually, make, output

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def pods(kubectl: Kubectl, label: str) -> list[Any]:
    """Pods with that label that are not ending."""
    items = kubectl.json("pods", "-l", label)["items"]
    return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def curl(url: str) -> str:
    """The body, or nothing."""
    return output(["curl", "--silent", "--max-time", "3", "--no-keepalive", url]).strip()


def test_node_and_questions(cluster: str, kubectl: Kubectl) -> None:
    assert "node Ready" in cluster
    assert "initialized successfully" in cluster
    nodes = kubectl("get", "nodes", "-o", "wide")
    assert re.search(r"^\S+ +Ready +control-plane ", nodes, re.MULTILINE), nodes
    assert "containerd://" in nodes
    assert kubectl("get", "pods", "-A") is not None
    described = kubectl("describe", "node")
    assert "KubeletReady" in described
    assert "cpu" in described
    assert "containers" in kubectl("explain", "pod.spec")
    resources = kubectl("api-resources")
    assert re.search(r"^deployments +deploy +apps/v1 +true +Deployment", resources, re.MULTILINE)
    assert "RegisteredNode" in kubectl("get", "events")
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    answer = kubectl("auth", "can-i", "create", "pods", "--as=nobody", ok=False)
    assert answer.splitlines()[0].startswith("no")


def test_second_make_up_changes_nothing(cluster: str) -> None:
    started = time.monotonic()
    printed = make("up")
    print(printed.splitlines()[-1], f"(make up: {time.monotonic() - started:.1f} s)")
    assert "changed=0" in printed
    assert ": changed (" not in printed


def test_deployment_service_and_dns(kubectl: Kubectl, shell_pod: str) -> None:
    kubectl.apply("web.yaml")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("expose", "deployment", "web", "--port=80", "--type=NodePort")
    running = pods(kubectl, "app=web")
    addresses = {pod["status"]["podIP"] for pod in running}
    names = {pod["metadata"]["name"] for pod in running}
    assert len(addresses) == len(names) == 3
    service = kubectl.json("service", "web")
    cluster_ip = service["spec"]["clusterIP"]
    node_port = service["spec"]["ports"][0]["nodePort"]
    node = kubectl.json("nodes")["items"][0]["status"]["addresses"][0]["address"]
    for url in (f"http://{cluster_ip}", f"http://{node}:{node_port}"):
        reached: set[str] = set()
        deadline = time.monotonic() + 20
        while reached != names and time.monotonic() < deadline:
            reached.add(curl(url))
            reached.discard("")
        assert reached == names, url
    reached = set()
    for _ in range(40):
        name = "http://web.default.svc.cluster.local"
        said = kubectl("exec", shell_pod, "--", "wget", "-q", "-O", "-", name)
        reached.add(said.strip())
        if reached == names:
            break
    assert reached == names
    short = kubectl("exec", shell_pod, "--", "wget", "-q", "-O", "-", "http://web")
    assert short.strip() in names


def test_scale_roll_and_undo(kubectl: Kubectl) -> None:
    kubectl.apply("web.yaml")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("scale", "deployment/web", "--replicas=5")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert len(pods(kubectl, "app=web")) == 5
    kubectl("scale", "deployment/web", "--replicas=3")
    eventually(lambda: _replicas(kubectl, 3))

    kubectl("set", "env", "deployment/web", "ROUND=2")
    lowest = _lowest_available(kubectl)
    assert lowest >= 3, "25 % of three replicas, rounded down, may be unavailable: none"
    template = kubectl.json("deployment", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["env"] == [{"name": "ROUND", "value": "2"}]
    assert len(kubectl("rollout", "history", "deployment/web").strip().splitlines()) >= 4

    kubectl("set", "image", "deployment/web", "web=nginx")
    eventually(lambda: _waiting_or_running(kubectl, "nginx"))
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    images = {p["spec"]["containers"][0]["image"] for p in pods(kubectl, "app=web")}
    assert images == {"busybox"}


def _replicas(kubectl: Kubectl, count: int) -> None:
    assert kubectl.json("deployment", "web")["status"]["readyReplicas"] == count
    assert len(pods(kubectl, "app=web")) == count


def _waiting_or_running(kubectl: Kubectl, image: str) -> None:
    found = [p for p in pods(kubectl, "app=web") if p["spec"]["containers"][0]["image"] == image]
    assert found


def _lowest_available(kubectl: Kubectl) -> int:
    """The least availableReplicas until the rollout is complete."""
    lowest = 99
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        deployment = kubectl.json("deployment", "web")
        status = deployment["status"]
        lowest = min(lowest, int(status.get("availableReplicas", 0)))
        seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
        if seen and status.get("updatedReplicas") == status.get("replicas") == 3:
            return lowest
    pytest.fail("the rollout did not end")


def test_streams(kubectl: Kubectl, shell_pod: str, tmp_path: Path) -> None:
    assert kubectl("exec", shell_pod, "--", "echo", "hello").strip() == "hello"
    assert kubectl("exec", "-i", shell_pod, "--", "cat", input="typed\n") == "typed\n"
    failed = kubectl.run("exec", shell_pod, "--", "sh", "-c", "exit 7")
    assert failed.returncode == 7
    # A terminal on both sides.
    terminal = output(
        ["script", "-qec", _command("exec", "-it", shell_pod, "--", "tty"), "/dev/null"]
    )
    assert "/dev/pts/" in terminal

    local = tmp_path / "there.txt"
    local.write_text("copied\n" * 1000)
    kubectl("cp", str(local), f"{shell_pod}:/tmp/there.txt")
    kubectl("cp", f"{shell_pod}:/tmp/there.txt", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_text() == local.read_text()


def _command(*arguments: str) -> str:
    return " ".join(["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *arguments])


def test_logs_and_attach(kubectl: Kubectl) -> None:
    script = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done"
    kubectl("run", "talker", "--image=busybox", "--restart=Never", "--", "sh", "-c", script)
    kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s")
    for words in (("logs", "-f", "talker"), ("attach", "talker")):
        follower = kubectl.start(*words)
        assert follower.stdout is not None
        lines = [follower.stdout.readline() for _ in range(6)]
        follower.terminate()
        follower.wait(10)
        follower.stdout.close()
        assert any(re.match(r"line \d+", line) for line in lines), lines
    assert "line 1\n" in kubectl("logs", "talker")
    assert len(kubectl("logs", "talker", "--tail=2").splitlines()) == 2
    kubectl("delete", "pod", "talker", "--grace-period=0", "--force")


def test_port_forward(kubectl: Kubectl) -> None:
    kubectl.apply("web.yaml")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    forward = kubectl.start("port-forward", "deployment/web", ":80")
    assert forward.stdout is not None
    try:
        line = forward.stdout.readline()
        match = re.search(r"127\.0\.0\.1:(\d+) -> 80", line)
        assert match, line
        for _ in range(3):
            assert curl(f"http://127.0.0.1:{match[1]}").startswith("web-")
    finally:
        forward.terminate()
        forward.wait(10)
        forward.stdout.close()


def test_everything_in_one_pod(kubectl: Kubectl) -> None:
    kubectl.apply("everything.yaml")
    kubectl("wait", "--for=condition=Ready", "pod/everything", "--timeout=60s")

    def inside(script: str) -> str:
        return kubectl("exec", "everything", "--", "sh", "-c", script).strip()

    assert inside("cat /scratch/first") == "prepared"
    values = inside("echo $PLAIN $COLOUR $PASSWORD $ALL_password $CPU_LIMIT")
    assert values == "plain green s3cret s3cret 200"
    assert inside("echo $POD_IP") == kubectl.json("pod", "everything")["status"]["podIP"]
    assert inside("cat /settings/file.txt") == "from a config map"
    assert inside("cat /hidden/password") == "s3cret"
    assert inside("cat /projected/colour") == "green"
    assert inside("cat /projected/token").count(".") == 2
    assert inside("cat /about/name") == "everything"
    assert 'app="everything"' in inside("cat /about/labels")
    token = inside("cat /var/run/secrets/kubernetes.io/serviceaccount/token")
    assert token.count(".") == 2
    assert inside("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace") == "default"

    uid = kubectl.json("pod", "everything")["metadata"]["uid"]
    assert 64 * 2**20 in _memory_limits(uid)
    assert kubectl.json("pod", "everything")["status"]["qosClass"] == "Burstable"

    started = time.monotonic()
    kubectl("delete", "pod", "everything")
    assert time.monotonic() - started < 10
    assert Path("/tmp/kubeinstall-e2e/stopped").read_text() == "stopped\n"
    kubectl("delete", "configmap/settings", "secret/hidden")


def _memory_limits(uid: str) -> set[int]:
    """Memory limits in the cgroups of a pod, of whichever version."""
    found = set()
    for name in ("memory.limit_in_bytes", "memory.max"):
        for spelling in (uid, uid.replace("-", "_")):
            for path in Path("/sys/fs/cgroup").glob(f"**/*pod{spelling}*/**/{name}"):
                text = path.read_text().strip()
                found.add(int(text) if text.isdigit() else 0)
    return found


def test_job_daemonset_and_restarts(kubectl: Kubectl) -> None:
    kubectl.apply("batch.yaml")
    kubectl("wait", "--for=condition=Complete", "job/sums", "--timeout=60s")
    assert kubectl("logs", "job/sums").strip() == "42"
    kubectl("rollout", "status", "daemonset/everywhere", "--timeout=60s")
    [pod] = pods(kubectl, "app=everywhere")
    name = str(pod["metadata"]["name"])
    container = pod["status"]["containerStatuses"][0]["containerID"]
    output(["ctr", "-n", "k8s.io", "task", "kill", "-s", "9", container.partition("//")[2]])

    def restarted() -> None:
        status = kubectl.json("pod", name)["status"]["containerStatuses"][0]
        assert status["restartCount"] == 1
        assert status["ready"]

    eventually(restarted)
    kubectl("delete", "-f", str(Path(__file__).parent / "manifests" / "batch.yaml"))


@pytest.mark.parametrize("component", ["kubelet", "kube-apiserver"])
def test_killed_component_comes_back_and_containers_never_notice(
    kubectl: Kubectl, shell_pod: str, component: str
) -> None:
    before = kubectl.json("pod", shell_pod)["status"]["containerStatuses"][0]
    pid = _component_pid(component)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: _new_pid(component, pid)) != pid
    eventually(lambda: kubectl("get", "--raw", "/readyz"))
    eventually(lambda: kubectl("exec", shell_pod, "--", "true"))
    after = kubectl.json("pod", shell_pod)["status"]["containerStatuses"][0]
    assert after["containerID"] == before["containerID"]
    assert after["restartCount"] == before["restartCount"]


def _component_pid(component: str) -> int:
    here = Path("/proc/self/ns/pid").readlink()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if (path.parent / "ns/pid").readlink() != here:
                continue  # of another (virtual) host on this machine
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if component in words and "/etc/kubernetes/components.yaml" in words:
            return int(path.parent.name)
    raise AssertionError(f"{component} does not run")


def _new_pid(component: str, old: int) -> int:
    pid = _component_pid(component)
    assert pid != old
    return pid


def test_renewed_certificate_is_served_and_nothing_else_restarts(kubectl: Kubectl) -> None:
    before, node = _served_serial(kubectl), _component_pid("kubelet")
    command = [sys.executable, "-m", "kubeinstall", "certs", "renew", "apiserver"]
    subprocess.run(command, check=True, capture_output=True)
    eventually(lambda: kubectl("get", "nodes"))
    assert _served_serial(kubectl) != before
    assert _component_pid("kubelet") == node
    assert "changed=0" in make("up")


def _served_serial(kubectl: Kubectl) -> int:
    server = kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    host, _, port = server.removeprefix("https://").rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)), timeout=10)
    return load_pem_x509_certificate(pem.encode()).serial_number


def _kubeinstall(*arguments: str) -> str:
    command = [sys.executable, "-m", "kubeinstall", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_bootstrap_tokens(kubectl: Kubectl) -> None:
    token = _kubeinstall("token", "create", "--ttl", "1h", "--description", "for tests").strip()
    assert re.search(rf"^{token} +\d+m .*for tests", _kubeinstall("token", "list"), re.MULTILINE)
    server = kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    stranger = (f"--server={server}", "--insecure-skip-tls-verify", "--kubeconfig=/dev/null")
    question = ("auth", "can-i", "create", "certificatesigningrequests")
    holder = (*question, *stranger, f"--token={token}")
    assert kubectl(*holder).strip() == "yes"
    public = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    info = output(["curl", "--silent", "--insecure", "--max-time", "5", server + public])
    assert server in json.loads(info)["data"]["kubeconfig"]
    assert "deleted" in _kubeinstall("token", "delete", token)
    assert token not in _kubeinstall("token", "list")
    eventually(lambda: kubectl(*holder, ok=False))


def test_bad_input_gets_upstreams_answer(kubectl: Kubectl) -> None:
    nameless = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{}]}}'
    said = kubectl("create", "--validate=false", "-f", "-", input=nameless, ok=False)
    assert "spec.containers[0].name: Required value" in said
    unknown = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"dat":{"a":"b"}}'
    said = kubectl("create", "-f", "-", input=unknown, ok=False)
    assert 'unknown field "dat"' in said
    assert "configmap/x created" in kubectl("create", "--validate=false", "-f", "-", input=unknown)
    assert "AlreadyExists" in kubectl(
        "create", "--validate=false", "-f", "-", input=unknown, ok=False
    )
    kubectl("delete", "configmap", "x")
    assert "NotFound" in kubectl("get", "pod", "nobody", ok=False)


def test_delete_takes_the_pods_along(kubectl: Kubectl) -> None:
    kubectl.apply("web.yaml")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("delete", "deployment/web", "--timeout=60s")

    def gone() -> None:
        assert kubectl.json("pods", "-l", "app=web")["items"] == []
        assert kubectl.json("replicasets", "-l", "app=web")["items"] == []

    eventually(gone)
    subprocess.run(["rm", "-rf", "/tmp/kubeinstall-e2e"], check=True)
