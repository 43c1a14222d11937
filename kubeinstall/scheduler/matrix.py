"""All nodes as columns: one NumPy array a resource, one element a node.

A pod placed or removed changes one element of a few arrays in place; a filter over all nodes is one array
expression. Columns are float64: exact for whole numbers to 2^53, which bytes of memory need (float32 would
let a node overflow by kilobytes). Row numbers are stable while a node exists and reused after it.

`changes` is a log of rows in the order in which they changed: a cached verdict that remembers how far it
had read needs to look only at the rows after that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kubeinstall.api.types import Object
from kubeinstall.scheduler.pod import HostPort, PodInfo, normalized_image, ports_conflict
from kubeinstall.scheduler.requests import amounts

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_GROW = 64
_LOG_LIMIT = 65_536
_ALWAYS = ("cpu", "memory", "ephemeral-storage", "pods")


@dataclass(slots=True)
class Node:
    """One node; `row` is its place in the columns."""

    name: str
    row: int
    labels: dict[str, str]
    taints: list[Object]
    unschedulable: bool
    images: dict[str, int]
    pods: dict[str, PodInfo] = field(default_factory=dict)
    ports: list[HostPort] = field(default_factory=list)

    @property
    def hard_taints(self) -> list[Object]:
        """Taints that keep pods away."""
        return [t for t in self.taints if t.get("effect") in ("NoSchedule", "NoExecute")]

    @property
    def soft_taints(self) -> list[Object]:
        """Taints that only cost score."""
        return [t for t in self.taints if t.get("effect") == "PreferNoSchedule"]


class Matrix:
    """The columns, the nodes behind them, and who runs where."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.rows: list[Node | None] = []
        self.size = 0
        self.allocatable: dict[str, Floats] = {}
        self.used: dict[str, Floats] = {}
        self.nonzero_cpu = np.zeros(0)
        self.nonzero_memory = np.zeros(0)
        self.present: Bools = np.zeros(0, dtype=np.bool_)
        self.taint_class: Ints = np.zeros(0, dtype=np.int64)
        self.taint_classes: list[tuple[list[Object], bool]] = []
        self._class_ids: dict[tuple[object, ...], int] = {}
        self._topology: dict[str, _Topology] = {}
        self._free: list[int] = []
        self._log: list[int] = []
        self._log_start = 0
        self.image_nodes: dict[str, int] = {}
        #: Raised whenever labels, taints or the set of nodes change.
        self.generation = 0
        for name in _ALWAYS:
            self._column(name)

    # Nodes

    def set_node(self, obj: Object) -> Node:
        """Add a node or take over its changes."""
        name = obj["metadata"]["name"]
        known = self.nodes.get(name)
        parsed = _parse_node(obj)
        if known is None:
            known = Node(name, self._row(), *parsed)
            self.nodes[name] = known
            self.rows[known.row] = known
            self.present[known.row] = True
            self._count_images({}, known.images)
            self.generation += 1
        else:
            self._count_images(known.images, parsed[3])
            changed = (known.labels, known.taints, known.unschedulable) != parsed[:3]
            known.labels, known.taints, known.unschedulable, known.images = parsed
            self.generation += changed
        row = known.row
        for column in self.allocatable.values():
            column[row] = 0
        status = obj.get("status") or {}
        for resource, value in amounts(status.get("allocatable") or status.get("capacity")).items():
            self._column(resource)[row] = value
        self.taint_class[row] = self._taint_class(known)
        for topology in self._topology.values():
            topology.set(row, known.labels)
        self.touch(row)
        return known

    def remove_node(self, name: str) -> list[PodInfo]:
        """Forget a node; the pods that were counted on it are returned."""
        node = self.nodes.pop(name, None)
        if node is None:
            return []
        pods = list(node.pods.values())
        for pod in pods:
            self.remove_pod(pod, name)
        row = node.row
        self.rows[row] = None
        self.present[row] = False
        for column in self.allocatable.values():
            column[row] = 0
        for topology in self._topology.values():
            topology.set(row, {})
        self._count_images(node.images, {})
        self._free.append(row)
        self.generation += 1
        self.touch(row)
        return pods

    # Pods

    def add_pod(self, pod: PodInfo, node_name: str) -> bool:
        """Count a pod on a node; False when the node is not known."""
        node = self.nodes.get(node_name)
        if node is None:
            return False
        if pod.key in node.pods:
            self.remove_pod(node.pods[pod.key], node_name)
        node.pods[pod.key] = pod
        node.ports.extend(pod.ports)
        self._count(pod, node.row, 1)
        return True

    def remove_pod(self, pod: PodInfo, node_name: str) -> None:
        """Take back `add_pod`; nothing happens when the pod is not there."""
        node = self.nodes.get(node_name)
        counted = node.pods.pop(pod.key, None) if node else None
        if node is None or counted is None:
            return
        for port in counted.ports:
            node.ports.remove(port)
        self._count(counted, node.row, -1)

    def _count(self, pod: PodInfo, row: int, sign: int) -> None:
        for resource, value in pod.requests.items():
            self._column(resource)  # makes both columns
            self.used[resource][row] += sign * value
        self.used["pods"][row] += sign
        self.nonzero_cpu[row] += sign * pod.nonzero[0]
        self.nonzero_memory[row] += sign * pod.nonzero[1]
        self.touch(row)

    def port_free(self, node: Node, ports: Iterable[HostPort]) -> bool:
        """Whether none of the ports is taken on the node."""
        return not any(ports_conflict(mine, taken) for mine in ports for taken in node.ports)

    # Topology

    def domains(self, key: str) -> tuple[Ints, int]:
        """(domain number of each row, -1 where the label is missing; how many numbers there are)."""
        topology = self._topology.get(key)
        if topology is None:
            topology = _Topology(key, self.size)
            for node in self.nodes.values():
                topology.set(node.row, node.labels)
            self._topology[key] = topology
        return topology.ids, len(topology.names)

    # The log of changes

    def touch(self, row: int) -> None:
        """Note that a row changed."""
        self._log.append(row)
        if len(self._log) > _LOG_LIMIT:
            half = _LOG_LIMIT // 2
            del self._log[:half]
            self._log_start += half

    @property
    def position(self) -> int:
        """The end of the log."""
        return self._log_start + len(self._log)

    def changed_since(self, position: int) -> set[int] | None:
        """Rows that changed after `position`; None when the log no longer reaches back that far."""
        if position < self._log_start:
            return None
        return set(self._log[position - self._log_start :])

    # Inside

    def _row(self) -> int:
        if self._free:
            return self._free.pop()
        if len(self.rows) == self.size:
            self._grow()
        self.rows.append(None)
        return len(self.rows) - 1

    def _grow(self) -> None:
        extra = max(_GROW, self.size // 2)
        self.size += extra
        for table in (self.allocatable, self.used):
            for name, column in table.items():
                table[name] = np.concatenate([column, np.zeros(extra)])
        self.nonzero_cpu = np.concatenate([self.nonzero_cpu, np.zeros(extra)])
        self.nonzero_memory = np.concatenate([self.nonzero_memory, np.zeros(extra)])
        self.present = np.concatenate([self.present, np.zeros(extra, dtype=np.bool_)])
        self.taint_class = np.concatenate([self.taint_class, np.zeros(extra, dtype=np.int64)])
        for topology in self._topology.values():
            topology.grow(extra)

    def _column(self, resource: str) -> Floats:
        if resource not in self.allocatable:
            self.allocatable[resource] = np.zeros(self.size)
            self.used[resource] = np.zeros(self.size)
        return self.allocatable[resource]

    def _taint_class(self, node: Node) -> int:
        key: tuple[object, ...] = (
            node.unschedulable,
            *sorted((t.get("key"), t.get("value") or "", t.get("effect")) for t in node.taints),
        )
        number = self._class_ids.get(key)
        if number is None:
            number = self._class_ids[key] = len(self.taint_classes)
            self.taint_classes.append((node.taints, node.unschedulable))
        return number

    def _count_images(self, old: dict[str, int], new: dict[str, int]) -> None:
        for name in old.keys() - new.keys():
            self.image_nodes[name] -= 1
            if not self.image_nodes[name]:
                del self.image_nodes[name]
        for name in new.keys() - old.keys():
            self.image_nodes[name] = self.image_nodes.get(name, 0) + 1


class _Topology:
    """Domain numbers of one label key."""

    def __init__(self, key: str, size: int) -> None:
        self.key = key
        self.ids: Ints = np.full(size, -1, dtype=np.int64)
        self.names: dict[str, int] = {}

    def set(self, row: int, labels: dict[str, str]) -> None:
        value = labels.get(self.key)
        self.ids[row] = -1 if value is None else self.names.setdefault(value, len(self.names))

    def grow(self, extra: int) -> None:
        self.ids = np.concatenate([self.ids, np.full(extra, -1, dtype=np.int64)])


def _parse_node(
    obj: Object,
) -> tuple[dict[str, str], list[Object], bool, dict[str, int]]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    images = {
        normalized_image(name): int(image.get("sizeBytes") or 0)
        for image in status.get("images") or []
        for name in image.get("names") or []
    }
    return (
        obj["metadata"].get("labels") or {},
        spec.get("taints") or [],
        bool(spec.get("unschedulable")),
        images,
    )
