"""From one build to the next on real hosts, under load; back again; and a worker taken off. The order matters."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.upgrade.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PORT = 30080
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector: {matchLabels: {app: web}}
      containers:
      - name: web
        image: nginx
        imagePullPolicy: IfNotPresent
        lifecycle: {preStop: {exec: {command: [sleep, "3"]}}}
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"""


@dataclass
class Load:
    """What was seen while it ran."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)
    unavailable: list[set[str]] = field(default_factory=list)


def versions(lab: Lab) -> dict[str, str]:
    """Node → its kubelet's version, with an asterisk unless it is Ready and takes pods."""
    return {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
        + ("" if _available(node) else "*")
        for node in json.loads(lab.kubectl("get", "nodes", "-o", "json"))["items"]
    }


def _available(node: dict[str, dict[str, object]]) -> bool:
    conditions = node["status"].get("conditions") or []
    assert isinstance(conditions, list)
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not node["spec"].get("unschedulable")


def ask(address: str) -> None:
    """One request to the Service, over a connection of its own."""
    with socket.create_connection((address, PORT), timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = connection.recv(64)
    assert b" 200 " in answer, answer


@contextlib.contextmanager
def under_load(lab: Lab) -> Iterator[Load]:
    """Ask the Service at every node ten times a second, and watch which nodes are unavailable."""
    load, over = Load(), threading.Event()

    def asking() -> None:
        while not over.wait(0.1):
            for name, address in lab.addresses.items():
                try:
                    ask(address)
                except (OSError, AssertionError) as error:
                    load.failures.append(f"{time.strftime('%T')} {name}: {error!r}")
                else:
                    load.answers += 1

    def watching() -> None:
        while not over.wait(0.3):
            with contextlib.suppress(
                AssertionError
            ):  # one control plane: its API server restarts too
                load.unavailable.append({n for n, v in versions(lab).items() if v.endswith("*")})

    threads = [threading.Thread(target=work) for work in (asking, watching)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_upgrade_under_load(lab: Lab) -> None:
    old, new = lab.build("old", "1.0", "v1.36.0"), lab.build("new", "1.1", "v1.37.0")
    made = lab.run(old, "apply")
    assert made.returncode == 0, made.stdout + made.stderr
    lab.kubectl("apply", "--validate=false", "-f", "/root/objects.yaml", text=WEB)
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    time.sleep(3)
    with under_load(lab) as load:
        done = lab.run(new, "upgrade", "apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(lab) == dict.fromkeys("abc", "v1.37.0")
    assert load.failures == []
    assert load.answers > 100
    assert {frozenset(names) for names in load.unavailable} >= {frozenset("b"), frozenset("c")}
    assert max(len(names) for names in load.unavailable) == 1
    said = lab.kubectl("get", "configmap", "kubeadm-config", "-n", "kube-system", "-o", "yaml")
    assert "kubernetesVersion: v1.37.0" in said


def test_a_second_run_finds_nothing_to_do(lab: Lab) -> None:
    done = lab.run(lab.folder / "new", "upgrade", "apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" in done.stdout.splitlines()[-1]


def test_a_version_before_or_too_far_is_refused(lab: Lab) -> None:
    back = lab.run(lab.folder / "old", "upgrade", "apply", "--yes")
    assert back.returncode == 1
    assert "v1.36.0 is older" in back.stdout + back.stderr
    far = lab.run(lab.build("far", "1.3", "v1.39.0"), "upgrade", "apply", "--yes")
    assert far.returncode == 1
    assert "none may be skipped" in far.stdout + far.stderr
    assert versions(lab) == dict.fromkeys("abc", "v1.37.0")


def test_a_node_that_cannot_be_emptied_stops_it_untouched(lab: Lab) -> None:
    lab.kubectl("patch", "pdb", "web", "--type=merge", "-p", '{"spec":{"minAvailable":2}}')
    late = lab.build("late", "1.2", "v1.37.1")
    done = lab.run(late, "upgrade", "apply", "--yes", "--drain-timeout=6s")
    lab.kubectl("patch", "pdb", "web", "--type=merge", "-p", '{"spec":{"minAvailable":1}}')
    assert done.returncode == 1
    assert "cannot be emptied" in done.stdout + done.stderr
    assert versions(lab) == {"a": "v1.37.1", "b": "v1.37.0", "c": "v1.37.0"}


def test_a_host_goes_back_to_the_runtime_before(lab: Lab) -> None:
    done = lab.run(lab.folder / "late", "upgrade", "rollback", "--yes", "--limit=a")
    assert done.returncode == 0, done.stdout + done.stderr
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            if versions(lab)["a"] == "v1.37.0":
                break
        time.sleep(1)
    assert versions(lab) == dict.fromkeys("abc", "v1.37.0")


def test_a_worker_is_taken_off(lab: Lab) -> None:
    done = lab.run(lab.folder / "new", "node", "remove", "c", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(versions(lab)) == {"a", "b"}
    left = lab.hosts(
        "exec", "c", "--", "sh", "-c", "ls /etc/kubernetes /opt/kubeinstall 2>/dev/null || true"
    )
    assert left.split() in ([], ["/opt/kubeinstall:"])
    ask(lab.addresses["a"])
