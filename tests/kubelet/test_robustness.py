"""Kills and absences: what runs keeps running, what is half done is finished."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host

LOOP = {
    "name": "c",
    "image": "busybox",
    "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"],
}


async def test_a_killed_kubelet_touches_nothing_when_it_is_back(node: Node) -> None:
    await node.run("p", {"containers": [LOOP]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    before = node.containerd.pids()
    events = node.api.events("p")
    node.kubelet.kill()
    node.kubelet.start()
    await node.until(lambda: node.kubelet.log().count("Node ready") == 2)
    await asyncio.sleep(2)
    assert node.containerd.pids() == before
    assert node.api.events("p") == events
    assert node.container("p")["restartCount"] == 0
    await node.api.delete_pod("p", grace=1)
    await node.until(lambda: node.pod("p") is None)


async def test_kills_at_any_moment_leave_one_container_a_pod(node: Node) -> None:
    chance = random.Random(7)
    for number in range(6):
        await node.run(f"p{number}", {"containers": [LOOP]})
    for _ in range(8):
        await asyncio.sleep(chance.uniform(0.05, 1.2))
        node.kubelet.kill()
        node.kubelet.start()
    names = [f"p{number}" for number in range(6)]
    await node.until(lambda: all(node.condition(name, "Ready") == "True" for name in names), 60)
    # A sandbox and a container each, and nothing else that runs.
    await node.until(lambda: len(node.containerd.pids()) == 12, 30)
    for name in names:
        await node.api.delete_pod(name, grace=1)
    await asyncio.sleep(chance.uniform(0.05, 0.5))
    node.kubelet.kill()
    node.kubelet.start()
    await node.until(lambda: not any(node.pod(name) for name in names), 60)
    await node.until(lambda: not node.containerd.pids())
    assert not list((node.kubelet.folder / "kubelet/pods").iterdir())


async def test_pods_deleted_while_the_kubelet_was_away_are_ended(node: Node) -> None:
    await node.run("p", {"containers": [LOOP]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    node.kubelet.kill()
    await node.api.remove("v1/pods", "p", "default")
    node.kubelet.start()
    await node.until(lambda: not node.containerd.pids())


async def test_the_api_server_being_away_stops_no_pod(node: Node) -> None:
    await node.run(
        "p", {"restartPolicy": "Never", "containers": [{**LOOP, "command": ["sleep", "3"]}]}
    )
    await node.until(lambda: node.condition("p", "Ready") == "True")
    await node.api.stop()
    await asyncio.sleep(4)
    await node.api.start()
    await node.until(lambda: node.phase("p") == "Succeeded", 30)
    await node.run("q", {"containers": [LOOP]})
    await node.until(lambda: node.condition("q", "Ready") == "True", 30)


async def test_a_restarted_containerd_is_survived(node: Node) -> None:
    await node.run("p", {"containers": [LOOP]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    before = node.containerd.pids()
    node.containerd.stop()
    await node.until(lambda: _ready(node) == "False", 15)
    node.containerd.start()
    await node.until(lambda: _ready(node) == "True", 15)
    assert node.containerd.pids() == before
    assert node.container("p")["restartCount"] == 0
    await node.run("q", {"containers": [LOOP]})
    await node.until(lambda: node.condition("q", "Ready") == "True", 30)


def _ready(node: Node) -> str:
    found = node.api.get("v1/nodes", node.kubelet.name) or {}
    return next(str(c["status"]) for c in found["status"]["conditions"] if c["type"] == "Ready")


async def test_static_pods_and_their_mirrors(node: Node) -> None:
    folder = Path(node.kubelet.settings["pod-manifest-path"])
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "st", "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [LOOP]},
    }
    import yaml

    (folder / "st.yaml").write_text(yaml.safe_dump(manifest))
    name = f"st-{node.kubelet.name}"
    await node.until(lambda: node.condition(name, "Ready") == "True")
    mirror = node.pod(name)
    assert mirror is not None
    assert mirror["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    # The mirror is only a picture: deleting it changes nothing that runs.
    before = node.containerd.pids()
    await node.api.remove("v1/pods", name, "default")
    await node.until(lambda: node.condition(name, "Ready") == "True")
    assert node.containerd.pids() == before
    manifest["spec"]["containers"] = [{**LOOP, "env": [{"name": "NEW", "value": "1"}]}]
    (folder / "st.yaml").write_text(yaml.safe_dump(manifest))
    await node.until(
        lambda: len(node.containerd.pids()) == 2 and not set(node.containerd.pids()) & set(before)
    )
    (folder / "st.yaml").unlink()
    await node.until(lambda: node.pod(name) is None)
    await node.until(lambda: not node.containerd.pids())
