"""Static pods: manifests in a folder, and their mirrors in the API."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import yaml
from watchfiles import awatch

from kubeinstall.api.times import now_micro
from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.pod import spec
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

_SIZE_LIMIT = 10 * 1024 * 1024


class StaticPods:
    """Reads a folder at start, on every change of it, and at the latest every `period` seconds."""

    def __init__(self, folder: Path, node: str, manager: PodManager, period: float) -> None:
        self._folder = folder
        self._node = node
        self._manager = manager
        self._period = period
        self._known: dict[str, Object] = {}
        self.pods_changed: Callable[[], None] = lambda: None

    def pods(self) -> list[Object]:
        """The pods of the present manifests."""
        return list(self._known.values())

    async def run(self) -> None:
        """Until cancelled."""
        stop = asyncio.Event()
        while True:
            self.read()
            if not self._folder.is_dir():
                await asyncio.sleep(self._period)
                continue
            milliseconds = int(self._period * 1000)
            async for _ in awatch(
                self._folder,
                debounce=200,
                step=50,
                yield_on_timeout=True,
                rust_timeout=milliseconds,
                stop_event=stop,
            ):
                self.read()

    def read(self) -> None:
        """Compare the manifests with what is known; one that cannot be read stays as it was."""
        found: dict[str, Object] = {}
        failed = False
        for path in sorted(self._folder.glob("*")) if self._folder.is_dir() else []:
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                pod = parse_manifest(path, self._node)
            except (OSError, ValueError, yaml.YAMLError) as error:
                log.warning("Manifest cannot be read", path=str(path), error=str(error))
                failed = True
                continue
            found[spec.uid(pod)] = pod
        gone = [] if failed else [uid for uid in self._known if uid not in found]
        for uid in gone:
            del self._known[uid]
            self._manager.remove(uid)
        for uid, pod in found.items():
            if uid not in self._known:
                self._known[uid] = pod
                self._manager.set(pod)
        if gone or found:
            self.pods_changed()


def parse_manifest(path: Path, node: str) -> Object:
    """A pod from a JSON or YAML file, with the defaults, uid and annotations of a static pod.

    Raises ValueError for what is no pod.
    """
    if path.stat().st_size > _SIZE_LIMIT:
        raise ValueError("the file is too large")
    pod = yaml.safe_load(path.read_text())
    if (
        not isinstance(pod, dict)
        or pod.get("kind") != "Pod"
        or not (pod.get("metadata") or {}).get("name")
    ):
        raise ValueError("not a Pod")
    digest = spec.content_hash({**pod, "_": [str(path), node]})
    meta = pod["metadata"]
    meta["uid"] = meta.get("uid") or str(uuid.UUID(hex=digest))
    if not meta["name"].endswith(f"-{node}"):
        meta["name"] = f"{meta['name']}-{node}"
    meta.setdefault("namespace", "default")
    marks = meta.setdefault("annotations", {})
    marks[names.CONFIG_SOURCE] = "file"
    marks[names.CONFIG_HASH] = digest
    marks[names.CONFIG_SEEN] = now_micro()
    _default(pod, node)
    return pod


def _default(pod: Object, node: str) -> None:
    """What the API server would have filled in; static pods tolerate every NoExecute taint."""
    body = pod.setdefault("spec", {})
    body["nodeName"] = node
    for member, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", spec.DEFAULT_GRACE),
        ("dnsPolicy", "ClusterFirst"),
        ("enableServiceLinks", True),
        ("securityContext", {}),
        ("schedulerName", "default-scheduler"),
    ):
        body.setdefault(member, value)
    tolerations = body.setdefault("tolerations", [])
    everything = {"operator": "Exists", "effect": "NoExecute"}
    if everything not in tolerations:
        tolerations.append(everything)
    for container in spec.all_containers(pod):
        resources = container.setdefault("resources", {})
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
    pod.setdefault("status", {"phase": "Pending"})


def mirror_of(pod: Object, node: Object | None) -> Object:
    """The pod that the API shows for a static one."""
    made: Object = json.loads(json.dumps(pod))
    meta = made["metadata"]
    for member in ("uid", "resourceVersion", "creationTimestamp"):
        meta.pop(member, None)
    meta["annotations"][names.CONFIG_MIRROR] = meta["annotations"][names.CONFIG_HASH]
    if node is not None:
        meta["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": node["metadata"]["name"],
                "uid": node["metadata"]["uid"],
                "controller": True,
            }
        ]
    made.pop("status", None)
    return made
