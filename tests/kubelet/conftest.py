"""Fixtures: a containerd for the session; an API and a kubelet for each test."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubelet.node import Containerd, KubeletProcess, install_images, missing
from tests.kubelet.small_api import SmallApi

Object = dict[str, Any]


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    why = missing()
    if why:
        pytest.skip(why)
    # Not pytest's folder: it would be removed by a later run, with file systems mounted in it.
    folder = Path(tempfile.mkdtemp(prefix="kubelet-test-"))
    runtime = Containerd(folder)
    runtime.prepare()
    runtime.start()
    try:
        install_images(runtime, folder)
        yield runtime
    finally:
        if runtime.process is None:
            runtime.start()
        runtime.clean()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Node:
    """What a test talks to."""

    api: SmallApi
    kubelet: KubeletProcess
    containerd: Containerd

    async def run(self, name: str, spec: Object, **meta: Any) -> Object:
        """Put a pod onto the node."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", **meta},
            "spec": {"nodeName": self.kubelet.name, "terminationGracePeriodSeconds": 1, **spec},
        }
        return await self.api.put("v1/pods", pod)

    def pod(self, name: str) -> Object | None:
        return self.api.get("v1/pods", name, "default")

    async def until(self, what: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait until `what()` is true; its value. Fails with the kubelet's log."""
        end = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(
                    f"not within {seconds} s; kubelet log:\n{self.kubelet.log()[-4000:]}"
                )
            await asyncio.sleep(0.05)

    def phase(self, name: str) -> str:
        return str(((self.pod(name) or {}).get("status") or {}).get("phase"))

    def container(
        self, name: str, container: str = "c", member: str = "containerStatuses"
    ) -> Object:
        status = (self.pod(name) or {}).get("status") or {}
        return next((s for s in status.get(member) or [] if s["name"] == container), {})

    def condition(self, name: str, kind: str) -> str:
        status = (self.pod(name) or {}).get("status") or {}
        return next(
            (str(c["status"]) for c in status.get("conditions") or [] if c["type"] == kind), ""
        )

    def waiting(self, name: str, container: str = "c") -> Object:
        return ((self.container(name, container).get("state") or {}).get("waiting")) or {}

    def log(self, name: str, container: str = "c", attempt: int = 0) -> str:
        """The container's output."""
        folders = list((self.kubelet.folder / "log/pods").glob(f"default_{name}_*"))
        path = folders[0] / container / f"{attempt}.log" if folders else Path("/nonexistent")
        if not path.exists():
            return ""
        return "".join(line.split(" ", 3)[3] for line in path.read_text().splitlines(keepends=True))


def write_kubeconfig(path: Path, url: str) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
async def node(containerd: Containerd, tmp_path: Path) -> AsyncIterator[Node]:
    """A Ready node over the small API."""
    api = SmallApi()
    await api.start()
    kubelet = KubeletProcess(
        tmp_path / "k",
        containerd,
        write_kubeconfig(tmp_path / "kubeconfig", api.url),
        settings={"pod-manifest-path": str(tmp_path / "manifests")},
        config={"fileCheckFrequency": "1s"},
    )
    (tmp_path / "manifests").mkdir()
    kubelet.prepare()
    kubelet.start()
    made = Node(api, kubelet, containerd)
    try:
        await made.until(lambda: _ready(api, kubelet.name))
        yield made
        for manifest in (tmp_path / "manifests").iterdir():
            manifest.unlink()
        for key in [k for k in api.objects if k[2] == "pods"]:
            await api.remove("v1/pods", key[4], key[3])
        await made.until(lambda: not containerd.pids(), 30)
    finally:
        kubelet.clean()
        await api.stop()


def _ready(api: SmallApi, name: str) -> bool:
    found = api.get("v1/nodes", name)
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
