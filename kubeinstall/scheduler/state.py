"""The cluster as the scheduler believes it to be: nodes, pods on them, and pods it has just placed.

A pod that was placed is *assumed* to run there from that moment, long before the API server has heard of
it; the watch later confirms it, or the binding fails and it is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kubeinstall.api.types import Object
from kubeinstall.scheduler.counters import Counters
from kubeinstall.scheduler.matrix import Matrix, Node
from kubeinstall.scheduler.pod import PodInfo


class ClusterState:
    """Matrix, counters, assumptions and nominations, changed together."""

    def __init__(self) -> None:
        self.matrix = Matrix()
        self.namespaces: dict[str, dict[str, str]] = {}
        self.counters = Counters(self.matrix, self.namespace_labels)
        self._placed: dict[str, tuple[PodInfo, str]] = {}
        self._homeless: dict[str, dict[str, PodInfo]] = {}
        self.assumed: set[str] = set()
        self._priorities: Counter[int] = Counter()
        self._nominated: dict[str, dict[str, PodInfo]] = {}
        self._nominated_on: dict[str, str] = {}

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace, empty when it is not known."""
        return self.namespaces.get(namespace, {})

    def set_namespace(self, name: str, labels: dict[str, str] | None) -> None:
        """Take over a namespace's labels; None when it is gone."""
        if labels is None:
            self.namespaces.pop(name, None)
        elif self.namespaces.get(name) != labels:
            known = name in self.namespaces
            self.namespaces[name] = labels
            if known:
                self.counters.forget()

    # Nodes

    def set_node(self, obj: Object) -> Node:
        """A node came or changed."""
        node = self.matrix.set_node(obj)
        for pod in self._homeless.pop(node.name, {}).values():
            self._add(pod, node.name)
        return node

    def remove_node(self, name: str) -> None:
        """A node went; its pods stay known, for it may come back before they are deleted."""
        node = self.matrix.nodes.get(name)
        if node is None:
            return
        for pod in list(node.pods.values()):
            self._remove(pod, name)
            self._placed[pod.key] = (pod, name)
            self._priorities[pod.priority] += 1
            self._homeless.setdefault(name, {})[pod.key] = pod
        self.matrix.remove_node(name)

    # Pods

    def place(self, pod: PodInfo, node: str) -> None:
        """The pod runs on `node`, says the API server."""
        self.assumed.discard(pod.key)
        self.nominate(pod, "")
        known = self._placed.get(pod.key)
        if known is not None:
            old, where = known
            if where == node and _same_demands(old, pod):
                self._placed[pod.key] = (pod, node)
                self._swap(old, pod, node)
                return
            self._remove(old, where)
        self._add(pod, node)

    def assume(self, pod: PodInfo, node: str) -> None:
        """The pod will run on `node` if its binding succeeds."""
        self.nominate(pod, "")
        self._add(pod, node)
        self.assumed.add(pod.key)

    def forget(self, key: str) -> None:
        """The pod is gone, has ended, or its binding failed."""
        self.assumed.discard(key)
        known = self._placed.get(key)
        if known is not None:
            self._remove(*known)

    def lowest_priority(self) -> int | None:
        """The least importance that any placed pod has, None when there are no pods."""
        return min(self._priorities, default=None)

    def where(self, key: str) -> str:
        """The node a pod is counted on, or "" """
        known = self._placed.get(key)
        return known[1] if known else ""

    def info(self, key: str) -> PodInfo | None:
        """A placed pod."""
        known = self._placed.get(key)
        return known[0] if known else None

    # Nominations: nodes kept for pods that wait for their victims to go

    def nominate(self, pod: PodInfo, node: str) -> None:
        """Keep room on `node` for the pod; "" gives it back."""
        old = self._nominated_on.pop(pod.key, "")
        if old:
            self._nominated[old].pop(pod.key, None)
            if not self._nominated[old]:
                del self._nominated[old]
            self._touch(old)
        if node:
            self._nominated_on[pod.key] = node
            self._nominated.setdefault(node, {})[pod.key] = pod
            self._touch(node)

    def nominated_node(self, key: str) -> str:
        """The node kept for a pod, or "" """
        return self._nominated_on.get(key, "")

    def nominations(self) -> Mapping[str, Mapping[str, PodInfo]]:
        """Node name → waiting pods by key."""
        return self._nominated

    # Inside

    def _touch(self, name: str) -> None:
        node = self.matrix.nodes.get(name)
        if node is not None:
            self.matrix.touch(node.row)

    def _add(self, pod: PodInfo, name: str) -> None:
        self._placed[pod.key] = (pod, name)
        self._priorities[pod.priority] += 1
        if not self.matrix.add_pod(pod, name):
            self._homeless.setdefault(name, {})[pod.key] = pod
            return
        self.counters.add(pod, self.matrix.nodes[name].row)

    def _remove(self, pod: PodInfo, name: str) -> None:
        if self._placed.pop(pod.key, None) is not None:
            self._priorities[pod.priority] -= 1
            if not self._priorities[pod.priority]:
                del self._priorities[pod.priority]
        waiting = self._homeless.get(name)
        if waiting is not None and waiting.pop(pod.key, None) is not None:
            if not waiting:
                del self._homeless[name]
            return
        node = self.matrix.nodes.get(name)
        if node is not None and pod.key in node.pods:
            counted = node.pods[pod.key]
            self.matrix.remove_pod(counted, name)
            self.counters.remove(counted, node.row)

    def _swap(self, old: PodInfo, new: PodInfo, name: str) -> None:
        node = self.matrix.nodes.get(name)
        if node is not None and old.key in node.pods:
            node.pods[old.key] = new
        elif name in self._homeless:
            self._homeless[name][new.key] = new


def _same_demands(old: PodInfo, new: PodInfo) -> bool:
    """Nothing that is counted differs, so that a status update costs nothing."""
    return (
        old.uid == new.uid
        and old.labels == new.labels
        and old.deleting == new.deleting
        and old.requests == new.requests
        and old.nonzero == new.nonzero
    )
