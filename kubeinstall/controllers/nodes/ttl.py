"""Tells kubelets by annotation how long they may cache Secrets and ConfigMaps: longer in big clusters."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.nodes.lifecycle import NODES

ANNOTATION = "node.alpha.kubernetes.io/ttl"
#: (fewest nodes, most nodes, seconds); the bounds overlap so that the value does not flap.
_STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10_000, 300))


class TTLController(QueueController):
    """Keys are names of nodes."""

    name: ClassVar[str] = "ttl-controller"
    component: ClassVar[str] = "ttl-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._step = 0
        self._nodes = self.informer(NODES)
        self._nodes.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        count = len(self._nodes)
        before = self._step
        while self._step + 1 < len(_STEPS) and count > _STEPS[self._step][1]:
            self._step += 1
        while self._step > 0 and count < _STEPS[self._step][0]:
            self._step -= 1
        if before != self._step:
            for key in self._nodes.keys():  # noqa: SIM118 - a method of ours, not a dict
                self.queue.add(key)
        if new is not None and not self._right(new):
            self.queue.add(new["metadata"]["name"])

    def _right(self, node: Object) -> bool:
        notes = node["metadata"].get("annotations") or {}
        return bool(notes.get(ANNOTATION) == str(_STEPS[self._step][2]))

    async def reconcile(self, key: str) -> float | None:
        """Write the annotation of one node."""
        node = self._nodes.get(key)
        if node is not None and not self._right(node):
            value = str(_STEPS[self._step][2])
            await self.client.patch(NODES, key, {"metadata": {"annotations": {ANNOTATION: value}}})
        return None
