"""A cluster in memory: builders for nodes and pods, and an evaluator over them."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.scheduler.defaults import DefaultSpread
from kubeinstall.scheduler.evaluate import Choice, Evaluator
from kubeinstall.scheduler.pod import PodInfo, parse_pod
from kubeinstall.scheduler.preemption import Candidate, Preemption
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.volumes import VolumePlugin


class Shelf:
    """A stand-in for an informer: objects by namespace and name."""

    def __init__(self) -> None:
        self.objects: list[Object] = []

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        for obj in self.objects:
            meta = obj["metadata"]
            if meta["name"] == name and meta.get("namespace") == namespace:
                return obj
        return None

    def list(self, namespace: str | None = None) -> list[Object]:
        return [
            o for o in self.objects if not namespace or o["metadata"].get("namespace") == namespace
        ]


class Cluster:
    """Shorthands over the scheduler's parts, without an API server."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.claims, self.volumes, self.classes = Shelf(), Shelf(), Shelf()
        self.services, self.replica_sets, self.budgets = Shelf(), Shelf(), Shelf()
        plugin = VolumePlugin(
            self.state, self.claims, self.volumes, self.classes, lambda _claim: []
        )
        self.volume_plugin = plugin
        owners = {"replicasets": self.replica_sets}
        self.evaluator = Evaluator(self.state, plugin, DefaultSpread(self.services, owners), seed=7)
        self.preemption = Preemption(self.state, self.evaluator, self.budgets.list)
        self._number = 0

    def node(self, name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110",
             labels: dict[str, str] | None = None, taints: list[Object] | None = None,
             unschedulable: bool = False, images: list[Object] | None = None,
             **resources: Any) -> None:  # fmt: skip
        self.state.set_node(
            {
                "metadata": {
                    "name": name,
                    "labels": {"kubernetes.io/hostname": name, **(labels or {})},
                },
                "spec": {"taints": taints or [], "unschedulable": unschedulable},
                "status": {
                    "allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **resources},
                    "images": images or [],
                },
            }
        )

    def pod(self, name: str = "", *, cpu: str = "", memory: str = "", namespace: str = "default",
            labels: dict[str, str] | None = None, **spec: Any) -> PodInfo:  # fmt: skip
        self._number += 1
        requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
        containers = [{"name": "c", "image": "busybox", "resources": {"requests": requests}}]
        return parse_pod(
            {
                "metadata": {
                    "name": name or f"p{self._number}",
                    "namespace": namespace,
                    "uid": f"uid-{self._number}",
                    "labels": labels or {},
                    "ownerReferences": spec.pop("owners", []),
                },
                "spec": {"containers": containers, **spec},
                "status": {},
            }
        )

    def choose(self, pod: PodInfo) -> Choice:
        return self.evaluator.choose(pod)

    def schedule(self, pod: PodInfo) -> str:
        """Choose and assume; the node, or the message."""
        choice = self.choose(pod)
        if choice.node:
            self.state.assume(pod, choice.node)
            return choice.node
        assert choice.diagnosis is not None
        return choice.diagnosis.message()

    def preempt(self, pod: PodInfo) -> tuple[Candidate | None, str]:
        diagnosis = self.evaluator.diagnose(pod)
        return self.preemption.find(pod, diagnosis), diagnosis.message()
