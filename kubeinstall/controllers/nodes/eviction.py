"""Deletes pods from nodes with NoExecute taints that they do not tolerate, or not for ever."""

from __future__ import annotations

import time
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.common.taints import taints_of, tolerates
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.nodes.lifecycle import NODE_INDEX, NODES, by_node
from kubeinstall.errors import Conflict, NotFound


class TaintEvictionController(QueueController):
    """Keys are `namespace/name` of pods."""

    name: ClassVar[str] = "taint-eviction-controller"
    component: ClassVar[str] = "taint-eviction-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = 8
        #: When the clock of a pod's tolerations started, by key and UID.
        self._since: dict[str, tuple[str, float]] = {}
        self._nodes = self.informer(NODES)
        self._pods = self.informer(PODS, {NODE_INDEX: by_node})
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        before = _no_execute(old) if old is not None else []
        if before != _no_execute(new):
            for pod in self._pods.by_index(NODE_INDEX, new["metadata"]["name"]):
                self.queue.add(key_of(pod))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._since.pop(key_of(old or {}), None)
            return
        bound = old is None or pods.node_name(old) != pods.node_name(new)
        if pods.node_name(new) and (bound or _tolerations(old or {}) != _tolerations(new)):
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Delete the pod when its time is up; else say when it will be."""
        pod = self._pods.get_key(key)
        node = self._nodes.get(pods.node_name(pod)) if pod is not None else None
        if pod is None or node is None or owners.deleting(pod):
            self._since.pop(key, None)
            return None
        taints = _no_execute(node)
        if not taints:
            self._cancel(key, pod)
            return None
        allowed = _allowed_seconds(_tolerations(pod), taints)
        if allowed is None:
            self._cancel(key, pod)
            return None
        uid = pod["metadata"]["uid"]
        known = self._since.get(key)
        if known is None or known[0] != uid:
            known = self._since[key] = (uid, time.monotonic())
        left = known[1] + allowed - time.monotonic()
        if left > 0:
            return left
        await self._evict(pod)
        self._since.pop(key, None)
        return None

    def _cancel(self, key: str, pod: Object) -> None:
        if self._since.pop(key, None) is not None:
            self.events.event(
                pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}"
            )

    async def _evict(self, pod: Object) -> None:
        meta = pod["metadata"]
        text = f"Marking for deletion Pod {key_of(pod)}"
        self.events.event(pod, "Normal", "TaintManagerEviction", text)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": times.now(),
        }
        try:
            await self.client.patch(
                PODS,
                meta["name"],
                {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}},
                meta["namespace"],
                kind="strategic",
                subresource="status",
            )
            await self.client.delete(PODS, meta["name"], meta["namespace"], uid=meta["uid"])
        except (NotFound, Conflict):
            return


def _no_execute(node: Object) -> list[Object]:
    return [t for t in taints_of(node) if t["effect"] == "NoExecute"]


def _tolerations(pod: Object) -> list[Object]:
    return list((pod.get("spec") or {}).get("tolerations") or [])


def _allowed_seconds(tolerations: list[Object], taints: list[Object]) -> float | None:
    """How long the pod may stay: 0 when a taint is not tolerated, None for ever."""
    used: list[Object] = []
    for taint in taints:
        matching = [t for t in tolerations if tolerates(t, taint)]
        if not matching:
            return 0.0
        used += matching
    limits = [t["tolerationSeconds"] for t in used if t.get("tolerationSeconds") is not None]
    return max(0.0, float(min(limits))) if limits else None
