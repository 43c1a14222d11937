"""Whichever kubectl is on the path, against a running API server: explain, validation, apply, tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import orjson
import pytest

from tests.support.apiserver import RunningServer, run_api_server

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - {name: c, image: nginx, ports: [{containerPort: 80}]}
"""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the path: apt-get install kubernetes-client")
    with run_api_server() as running:
        version = running.kubectl("version", "--client", "-o", "json").stdout
        print("kubectl", orjson.loads(version)["clientVersion"]["gitVersion"])
        yield running


def ok(server: RunningServer, *arguments: str, stdin: str | None = None) -> str:
    done = server.kubectl(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _clean(server: RunningServer) -> None:
    server.kubectl("delete", "deployment", "web", "--ignore-not-found")


def test_explain(server: RunningServer) -> None:
    shown = ok(server, "explain", "pods.spec.containers.ports.containerPort")
    assert "Number of port to expose on the pod's IP address" in " ".join(shown.split())
    assert "rollingUpdate" in ok(server, "explain", "deployment.spec.strategy")


def test_api_resources_and_versions(server: RunningServer) -> None:
    shown = ok(server, "api-resources", "--api-group=apps", "-o", "name").split()
    assert "deployments.apps" in shown
    assert "apps/v1" in ok(server, "api-versions").split()


def test_apply_patches_what_changed(server: RunningServer) -> None:
    assert "created" in ok(server, "apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("image: nginx", "image: busybox")
    assert "configured" in ok(server, "apply", "-f", "-", stdin=changed)
    assert "unchanged" in ok(server, "apply", "-f", "-", stdin=changed)
    wide = ok(server, "get", "deployment", "web", "-o", "wide")
    assert wide.split()[:8] == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR",
    ]  # fmt: skip
    assert "busybox" in wide
    ok(server, "apply", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT)
    assert "busybox" in ok(server, "get", "deployment", "web", "-o", "wide")


def test_unknown_fields_are_refused(server: RunningServer) -> None:
    done = server.kubectl("apply", "-f", "-", stdin=DEPLOYMENT + "  nope: 1\n")
    assert done.returncode != 0
    assert "nope" in done.stderr


def test_server_side_apply_takes_over_from_client_side(server: RunningServer) -> None:
    ok(server, "apply", "-f", "-", stdin=DEPLOYMENT)
    ok(server, "apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 0", "paused: true")
    ok(server, "apply", "--server-side", "-f", "-", stdin=changed)
    found = orjson.loads(ok(server, "get", "deployment", "web", "-o", "json"))
    assert found["spec"]["paused"] is True
    assert LAST_APPLIED in found["metadata"]["annotations"]


def test_conflicts_name_the_manager(server: RunningServer) -> None:
    ok(server, "apply", "--server-side", "--field-manager=one", "-f", "-", stdin=DEPLOYMENT)
    other = DEPLOYMENT.replace("replicas: 0", "replicas: 1")
    arguments = ("apply", "--server-side", "--field-manager=two", "-f", "-")
    refused = server.kubectl(*arguments, stdin=other)
    assert refused.returncode != 0
    assert 'conflict with "one"' in refused.stderr
    assert ".spec.replicas" in refused.stderr
    ok(server, *arguments, "--force-conflicts", stdin=other)
