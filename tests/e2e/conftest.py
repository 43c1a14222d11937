"""One cluster for all end-to-end tests: `make up` before, `make down` after."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.leftovers import leftovers
from tests.e2e.shell import ADMIN, Kubectl, eventually, make


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """What the first `make up` printed. The host is clean before and after."""
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests make a cluster of this machine: run them as root")
    if ADMIN.exists():
        pytest.fail("this machine has a cluster; take it off first: make down")
    if leftovers():  # of something that was ended in the middle
        make("down")
    printed = make("up")
    print(printed)
    print(Kubectl()("version", "--client"), shutil.which("kubectl"))
    yield printed
    make("down")
    assert leftovers() == []


@pytest.fixture
def kubectl(cluster: str) -> Kubectl:
    """kubectl against the cluster, once the default service account is there."""
    kubectl = Kubectl()
    eventually(lambda: kubectl("get", "serviceaccount", "default"))
    return kubectl


@pytest.fixture
def shell_pod(kubectl: Kubectl) -> str:
    """Name of a running busybox pod to try things in."""
    if kubectl.run("get", "pod", "shell").returncode != 0:
        kubectl("run", "shell", "--image=busybox", "--restart=Always", "--", "sleep", "86400")
    kubectl("wait", "--for=condition=Ready", "pod/shell", "--timeout=30s")
    return "shell"
