"""An unmodified kubectl, as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.support.apiserver import RunningServer

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on the path")


def _minor() -> int:
    """kubectl's minor version: Debian 12 has 1.20, which lacks some commands."""
    if shutil.which("kubectl") is None:
        return 0
    done = subprocess.run(
        ["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
    )
    return int(json.loads(done.stdout)["clientVersion"]["minor"].rstrip("+"))


MINOR = _minor()

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: busybox, ports: [{containerPort: 80}]}]}
"""


class Kubectl:
    """kubectl in a namespace of the test's own."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.namespace = f"k-{uuid.uuid4().hex[:8]}"

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.server.kubectl(*arguments, "-n", self.namespace, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.server.kubectl(*arguments, "-n", self.namespace, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def kubectl(api_server: RunningServer) -> Iterator[Kubectl]:
    tool = Kubectl(api_server)
    tool("create", "namespace", tool.namespace)
    tool("create", "serviceaccount", "default")
    yield tool
    tool("delete", "namespace", tool.namespace, "--wait=false")


def test_discovery_and_versions(kubectl: Kubectl) -> None:
    print(f"kubectl 1.{MINOR}")
    assert "v1.36" in kubectl("version", "-o", "json")
    resources = kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io"} <= set(resources)
    assert "apps/v1" in kubectl("api-versions").split()


def test_apply_changes_what_differs(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed)
    assert "serverside-applied" in kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed
    )
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "scaled" in kubectl("scale", "deploy/web", "--replicas=5")
    assert "image updated" in kubectl("set", "image", "deploy/web", "c=nginx")
    assert "patched" in kubectl("patch", "deploy", "web", "-p", '{"spec":{"paused":true}}')
    assert re.search(r"Image: +nginx", kubectl("describe", "deploy", "web"))
    assert "exposed" in kubectl("expose", "deploy", "web", "--port=80", "--type=NodePort")
    assert "10.96." in kubectl("get", "service", "web")


def test_an_unknown_field_is_refused_by_path(kubectl: Kubectl) -> None:
    wrong = DEPLOYMENT.replace("name: web}\nspec", "name: other}\nspec").replace(
        "image: busybox", "image: busybox, nope: 1"
    )
    stderr = kubectl.refused("apply", "-f", "-", stdin=wrong)
    if MINOR < 25:  # validates by itself, with words of its own
        assert 'unknown field "nope"' in stderr
        return
    assert 'unknown field "spec.template.spec.containers[0].nope"' in stderr
    warned = kubectl.server.kubectl(
        "apply", "--validate=warn", "-n", kubectl.namespace, "-f", "-", stdin=wrong
    )
    assert warned.returncode == 0
    assert 'Warning: unknown field "spec.template.spec.containers[0].nope"' in warned.stderr


def test_objects_made_with_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "a", "--from-literal=x=y")
    assert kubectl("get", "configmap", "a", "-o", "jsonpath={.data.x}") == "y"
    kubectl("create", "secret", "generic", "s", "--from-literal=p=q")
    kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "rb", "--role=r", "--user=jane")
    assert kubectl("auth", "can-i", "get", "pods", "--as=jane").strip() == "yes"
    assert "no" in kubectl.server.kubectl("auth", "can-i", "delete", "pods", "--as=jane").stdout
    if MINOR >= 24:
        assert len(kubectl("create", "token", "default").split(".")) == 3


def test_pods_are_labelled_described_and_deleted(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=busybox", "--labels=a=b")
    assert "labeled" in kubectl("label", "pod", "p", "c=d")
    assert kubectl("get", "pods", "-l", "a=b,c=d", "-o", "name") == "pod/p\n"
    assert "Pending" in kubectl("get", "pods")
    assert "QoS Class:" in kubectl("describe", "pod", "p")
    if MINOR >= 26:
        events = kubectl.server.kubectl("events", "-n", kubectl.namespace)
        assert "No events found" in events.stdout + events.stderr
    kubectl("delete", "pod", "p", "--wait=true", "--timeout=10s")
    assert 'pods "p" not found' in kubectl.refused("get", "pod", "p")


def test_explain(kubectl: Kubectl) -> None:
    text = kubectl("explain", "pod.spec.containers.livenessProbe")
    assert re.search(r"KIND: +Pod", text)
    assert "initialDelaySeconds" in text


def test_diff_and_dry_run(kubectl: Kubectl) -> None:
    other = DEPLOYMENT.replace("name: web}\nspec", "name: web3}\nspec")
    kubectl("apply", "-f", "-", stdin=other)
    done = kubectl.server.kubectl(
        "diff",
        "-n",
        kubectl.namespace,
        "-f",
        "-",
        stdin=other.replace("replicas: 2", "replicas: 9"),
    )
    assert done.returncode == 1
    assert "+  replicas: 9" in done.stdout
    assert "created (server dry run)" in kubectl(
        "apply",
        "--dry-run=server",
        "-f",
        "-",
        stdin=other.replace("name: web3", "name: web4"),
    )
    assert "not found" in kubectl.refused("get", "deploy", "web4")
