"""What is dead goes; what nobody could bring back stays."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from kubeinstall.kubelet.cri import CRI
from kubeinstall.kubelet.garbage import Garbage
from kubeinstall.kubelet.logs.rotate import LogRotation
from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host


async def test_images_made_here_are_not_collected(node: Node) -> None:
    cri = CRI(str(node.containerd.socket))
    config = SimpleNamespace(image_minimum_gc_age=0.0)
    runtime = SimpleNamespace(uids=list)
    manager: Any = SimpleNamespace(parts=SimpleNamespace(cri=cri, config=config, runtime=runtime))
    listed = await cri.list_images()
    assert len(listed) >= 2
    assert await Garbage(manager).free_images(listed, 10**12) == 0
    assert len(await cri.list_images()) == len(listed)
    await cri.close()


async def test_logs_are_rotated_while_the_container_writes(node: Node) -> None:
    command = "n=0; while :; do echo line $n; n=$((n+1)); sleep 0.02; done"
    await node.run(
        "p", {"containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", command]}]}
    )
    await node.until(lambda: node.log("p").count("\n") > 20)
    path = next((node.kubelet.folder / "log/pods").glob("default_p_*/c/0.log"))
    cri = CRI(str(node.containerd.socket))
    runtime: Any = SimpleNamespace(uids=list)
    rotation = LogRotation(cri, runtime, "100", 3)
    container_id = node.container("p")["containerID"].partition("://")[2]
    await rotation.check(path, container_id)
    rotated = [p for p in path.parent.iterdir() if p != path]
    assert len(rotated) == 1
    await node.until(lambda: path.exists() and path.stat().st_size > 100)
    seen = [
        int(line.rsplit(" ", 1)[1])
        for p in (rotated[0], path)
        for line in p.read_text().splitlines()
    ]
    assert seen[: len(seen)] == list(range(len(seen)))
    await cri.close()


async def test_the_log_links_that_collectors_follow(node: Node) -> None:
    command = ["sh", "-c", "echo hello; sleep 1000"]
    await node.run("p", {"containers": [{"name": "c", "image": "busybox", "command": command}]})
    await node.until(lambda: "hello" in node.log("p"))
    links = list((node.kubelet.folder / "log/containers").glob("p_default_c-*.log"))
    assert len(links) == 1
    said = subprocess.run(["cat", str(links[0])], capture_output=True, text=True, check=True)
    assert said.stdout.endswith("stdout F hello\n")
