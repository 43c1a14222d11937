"""Collects pods that nobody else will: of lost nodes, never scheduled, or ended and too many."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods, taints
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.nodes.lifecycle import NODE_INDEX, NODES, by_node
from kubeinstall.errors import Conflict, NotFound

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
#: A node that was just deleted may be on its way back.
QUARANTINE_SECONDS = 40.0
_THRESHOLD_KEY = "!threshold"


class PodGarbageCollector(QueueController):
    """Keys are `namespace/name` of pods, and one for the number of ended pods."""

    name: ClassVar[str] = "pod-garbage-collector-controller"
    component: ClassVar[str] = "pod-garbage-collector"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._ended: set[str] = set()
        self._nodes = self.informer(NODES)
        self._pods = self.informer(PODS, {NODE_INDEX: by_node})
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        node = new or old or {}
        affected = self._pods.by_index(NODE_INDEX, node["metadata"]["name"])
        if new is None:
            for pod in affected:
                self.queue.add_after(key_of(pod), QUARANTINE_SECONDS)
        elif _out_of_service(new):
            for pod in affected:
                self.queue.add(key_of(pod))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        if new is None:
            self._ended.discard(key)
            return
        if pods.finished(new) and key not in self._ended:
            self._ended.add(key)
            limit = self.settings.terminated_pod_gc_threshold
            if limit and len(self._ended) > limit:
                self.queue.add_after(_THRESHOLD_KEY, 1.0)
        node = pods.node_name(new)
        if not node:
            if owners.deleting(new):
                self.queue.add(key)
        elif self._nodes.synced():
            found = self._nodes.get(node)
            if found is None:
                self.queue.add_after(key, QUARANTINE_SECONDS)
            elif owners.deleting(new) and _out_of_service(found):
                self.queue.add(key)

    async def run(self) -> None:
        """Collect until cancelled."""
        await self.synced()
        for pod in self._pods.list():
            # Pods that came before their nodes could not be judged.
            if pods.node_name(pod) and self._nodes.get(pods.node_name(pod)) is None:
                self.queue.add_after(key_of(pod), QUARANTINE_SECONDS)
        await super().run()

    async def reconcile(self, key: str) -> float | None:
        """Judge one pod, or the number of ended ones."""
        if key == _THRESHOLD_KEY:
            await self._collect_ended()
            return None
        pod = self._pods.get_key(key)
        if pod is None:
            return None
        name = pods.node_name(pod)
        if not name:
            if owners.deleting(pod):
                await self._force(pod)
            return None
        node = self._nodes.get(name)
        if node is None:
            if not await self._node_exists(name):
                await self._force(pod, "PodGC: node no longer exists")
        elif owners.deleting(pod) and _out_of_service(node) and not pods.ready(node):
            await self._force(pod)
        return None

    async def _node_exists(self, name: str) -> bool:
        try:
            await self.client.get(NODES, name)
        except NotFound:
            return False
        return True

    async def _collect_ended(self) -> None:
        found = [pod for key in self._ended if (pod := self._pods.get_key(key)) is not None]
        found.sort(key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
        surplus = len(found) - self.settings.terminated_pod_gc_threshold
        for pod in found[: max(0, surplus)]:
            await self._force(pod)

    async def _force(self, pod: Object, why: str = "") -> None:
        """Delete at once; one that still counts as running is marked Failed first."""
        meta = pod["metadata"]
        try:
            if not pods.finished(pod):
                await self._fail(pod, why)
            await self.client.delete(
                PODS, meta["name"], meta["namespace"], uid=meta["uid"], grace_period_seconds=0
            )
        except (NotFound, Conflict):
            return

    async def _fail(self, pod: Object, why: str) -> None:
        meta = pod["metadata"]
        status: Object = {"phase": "Failed"}
        if why:
            status["conditions"] = [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": why,
                    "lastTransitionTime": times.now(),
                }
            ]
        await self.client.patch(
            PODS,
            meta["name"],
            {"metadata": {"uid": meta["uid"]}, "status": status},
            meta["namespace"],
            kind="strategic",
            subresource="status",
        )


def _out_of_service(node: Object) -> bool:
    return any(t["key"] == OUT_OF_SERVICE for t in taints.taints_of(node))
