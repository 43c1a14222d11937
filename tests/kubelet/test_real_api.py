"""The kubelet with the real API server, and kubectl's streams through both."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists
from tests.kubelet.node import Containerd, KubeletProcess
from tests.support.apiserver import RunningServer, run_api_server

pytestmark = pytest.mark.host

LOOP = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo tick; sleep 0.2; done"]


@dataclass
class Cluster:
    """An API server, a kubelet, and a client that may do everything."""

    server: RunningServer
    kubelet: KubeletProcess
    client: ApiClient

    async def run(self, name: str, container: dict[str, Any], **spec: Any) -> None:
        made = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "nodeName": self.kubelet.name,
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "c", "image": "busybox", **container}],
                **spec,
            },
        }
        await self.client.create("v1/pods", made)

    async def ready(self, name: str) -> dict[str, Any]:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pod = await self.client.get("v1/pods", name, "default")
            conditions = (pod.get("status") or {}).get("conditions") or []
            if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                return pod
            await _sleep()
        raise AssertionError(f"{name} is not ready; {self.kubelet.log()[-3000:]}")

    async def gone(self, name: str) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            listed = await self.client.list("v1/pods", "default")
            if not any(pod["metadata"]["name"] == name for pod in listed["items"]):
                return
            await _sleep()
        raise AssertionError(f"{name} is still there; {self.kubelet.log()[-3000:]}")

    def kubectl(
        self, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.server.kubectl(*arguments, stdin=stdin)


async def _sleep() -> None:
    await asyncio.sleep(0.1)


@pytest.fixture
async def cluster(containerd: Containerd, tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = {"kubelet-preferred-address-types": ["InternalIP"]}
    with run_api_server(tmp_path / "api", settings) as server:
        ca = {"x509": {"clientCAFile": str(server.directory / "pki/ca.crt")}}
        kubelet = KubeletProcess(
            tmp_path / "k",
            containerd,
            server.kubeconfig("kubelet"),
            config={"authentication": ca, "authorization": {"mode": "Webhook"}},
        )
        kubelet.prepare()
        async with server.client() as client:
            await _objects(client)
            kubelet.start()
            made = Cluster(server, kubelet, client)
            try:
                yield made
                for pod in (await client.list("v1/pods", "default"))["items"]:
                    await client.delete(
                        "v1/pods", pod["metadata"]["name"], "default", grace_period_seconds=0
                    )
                end = time.monotonic() + 20
                while containerd.pids() and time.monotonic() < end:
                    await _sleep()
            finally:
                kubelet.clean()


async def _objects(client: ApiClient) -> None:
    """What controllers and kubeadm make in a whole cluster."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "default"},
    }
    root = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-root-ca.crt", "namespace": "default"},
        "data": {"ca.crt": "x"},
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kubeadm:apiserver-kubelet-client"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:kubelet-api-admin",
        },
        "subjects": [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "User",
                "name": "kube-apiserver-kubelet-client",
            }
        ],
    }
    for gvr, obj in (
        ("v1/serviceaccounts", account),
        ("v1/configmaps", root),
        ("rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
    ):
        with contextlib.suppress(AlreadyExists):
            await client.create(gvr, obj)


async def test_a_pod_with_its_token_from_create_to_delete(cluster: Cluster) -> None:
    text = "ls /var/run/secrets/kubernetes.io/serviceaccount; " + LOOP[2]
    await cluster.run("p", {"command": ["sh", "-c", text]})
    pod = await cluster.ready("p")
    assert pod["status"]["phase"] == "Running"
    node = await cluster.client.get("v1/nodes", cluster.kubelet.name)
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
    lease = await cluster.client.get(
        "coordination.k8s.io/v1/leases", cluster.kubelet.name, "kube-node-lease"
    )
    assert lease["spec"]["holderIdentity"] == cluster.kubelet.name
    assert lease["spec"]["leaseDurationSeconds"] == 40
    log = next((cluster.kubelet.folder / "log/pods").glob("default_p_*/c/0.log")).read_text()
    assert "token" in log
    await cluster.client.delete("v1/pods", "p", "default")
    await cluster.gone("p")


async def test_resources_are_changed_in_place(cluster: Cluster) -> None:
    sizes = {
        "requests": {"cpu": "50m", "memory": "16Mi"},
        "limits": {"cpu": "100m", "memory": "32Mi"},
    }
    await cluster.run("p", {"command": LOOP, "resources": sizes})
    before = (await cluster.ready("p"))["status"]["containerStatuses"][0]
    bigger = {
        "requests": {"cpu": "60m", "memory": "16Mi"},
        "limits": {"cpu": "200m", "memory": "48Mi"},
    }
    patch = {"spec": {"containers": [{"name": "c", "resources": bigger}]}}
    await cluster.client.patch("v1/pods", "p", patch, "default", "strategic", "resize")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pod = await cluster.client.get("v1/pods", "p", "default")
        entry = pod["status"]["containerStatuses"][0]
        if entry["resources"]["limits"] == bigger["limits"]:
            break
        await _sleep()
    assert entry["resources"]["limits"] == bigger["limits"]
    assert (entry["restartCount"], entry["containerID"]) == (0, before["containerID"])
    name = (
        "memory.max"
        if Path("/sys/fs/cgroup/cgroup.controllers").exists()
        else "memory.limit_in_bytes"
    )
    short = before["containerID"].partition("://")[2]
    found = list(Path("/sys/fs/cgroup").glob(f"**/*{short}*/{name}"))
    assert found
    assert found[0].read_text().strip() == str(48 * 1024 * 1024)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
async def test_kubectls_streams(cluster: Cluster) -> None:
    serve = "mkdir /w; echo served > /w/index.html; httpd -p 80 -h /w; " + LOOP[2]
    await cluster.run("p", {"command": ["sh", "-c", serve]})
    await cluster.ready("p")
    await asyncio.sleep(1)
    logs = cluster.kubectl("logs", "p", "--tail=2")
    assert (logs.stdout, logs.stderr) == ("tick\ntick\n", "")
    done = cluster.kubectl("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done.stdout == "out\n"
    assert "err" in done.stderr
    assert done.returncode == 3
    data = "".join(f"line {n}\n" for n in range(5000))
    piped = cluster.kubectl("exec", "-i", "p", "--", "cat", stdin=data)
    assert piped.stdout == data
    missing = cluster.kubectl("logs", "p", "-c", "none")
    assert missing.returncode == 1
    with _forward(cluster) as port:
        assert _get(port).endswith("served\n")


@contextlib.contextmanager
def _forward(cluster: Cluster) -> Any:
    process = subprocess.Popen(
        ["kubectl", f"--kubeconfig={cluster.server.admin_kubeconfig}", "port-forward", "p", ":80"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(line.split("127.0.0.1:")[1].split()[0])
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _get(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while part := connection.recv(4096):
            data += part
    return data.decode()
