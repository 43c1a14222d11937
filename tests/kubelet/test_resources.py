"""Requests and limits in cgroups, version 1 or 2, whichever this host has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeinstall.kubelet.cgroups.files import is_v2
from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host

ROOT = Path("/sys/fs/cgroup")


def pod_file(kind: str, uid: str, v1: str, v2: str) -> Path:
    base = f"kltest-{os.getpid()}/kubepods"
    inner = f"{base}/{kind}/pod{uid}" if kind else f"{base}/pod{uid}"
    return (
        ROOT / inner / v2 if is_v2() else ROOT / v1.partition("/")[0] / inner / v1.partition("/")[2]
    )


async def test_limits_land_in_the_pods_cgroup_and_its_containers(node: Node) -> None:
    resources = {
        "requests": {"cpu": "100m", "memory": "16Mi"},
        "limits": {"cpu": "200m", "memory": "32Mi"},
    }
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sleep", "1000"],
        "resources": resources,
    }
    pod = await node.run("p", {"containers": [container]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    uid = pod["metadata"]["uid"]
    memory = pod_file("burstable", uid, "memory/memory.limit_in_bytes", "memory.max")
    assert memory.read_text().strip() == str(32 * 1024 * 1024)
    quota = pod_file("burstable", uid, "cpu/cpu.cfs_quota_us", "cpu.max")
    assert quota.read_text().split()[0] == "20000"
    weight = pod_file("burstable", uid, "cpu/cpu.shares", "cpu.weight")
    assert weight.read_text().strip() == ("4" if is_v2() else "102")
    inside = next(memory.parent.glob(f"{node.container('p')['containerID'].partition('://')[2]}*"))
    assert (inside / memory.name).read_text().strip() == str(32 * 1024 * 1024)
    await node.api.delete_pod("p", grace=0)
    await node.until(lambda: node.pod("p") is None)
    assert not memory.parent.exists()


async def test_a_container_over_its_memory_is_killed_for_it(node: Node) -> None:
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1"],
        "resources": {"limits": {"memory": "20Mi"}},
    }
    await node.run("p", {"restartPolicy": "Never", "containers": [container]})
    await node.until(lambda: node.phase("p") == "Failed")
    ended = node.container("p")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_quality_of_service_decides_where(node: Node) -> None:
    same = {"cpu": "10m", "memory": "16Mi"}
    container = {"name": "c", "image": "busybox", "command": ["sleep", "1000"]}
    best = await node.run("best", {"containers": [container]})
    sure = await node.run(
        "sure", {"containers": [{**container, "resources": {"requests": same, "limits": same}}]}
    )
    await node.until(
        lambda: node.condition("best", "Ready") == node.condition("sure", "Ready") == "True"
    )
    assert (node.pod("best") or {})["status"]["qosClass"] == "BestEffort"
    assert (node.pod("sure") or {})["status"]["qosClass"] == "Guaranteed"
    assert pod_file("besteffort", best["metadata"]["uid"], "cpu/cpu.shares", "cpu.weight").exists()
    assert pod_file("", sure["metadata"]["uid"], "cpu/cpu.shares", "cpu.weight").exists()


async def test_an_empty_dir_over_its_limit_ends_the_pod(node: Node) -> None:
    command = (
        "dd if=/dev/zero of=/v/big bs=1M count=4; trap 'exit 0' TERM; while :; do sleep 0.2; done"
    )
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", command],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    volume = {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}
    await node.run("p", {"containers": [container], "volumes": [volume]})
    await node.until(lambda: node.phase("p") == "Failed", 30)
    status = (node.pod("p") or {})["status"]
    assert (status["reason"], status["message"]) == (
        "Evicted",
        'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
    )
    assert node.condition("p", "DisruptionTarget") == "True"
