"""Filters and scores that look at one node at a time: they can be kept between pods of one shape.

Each function takes `rows`, all rows or an array of row numbers, and computes those only; so after a pod was
placed, its node's row is computed again and the other 4,999 are not.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from kubeinstall.scheduler.affinity import (
    UNSCHEDULABLE_TAINT,
    matches_selector,
    matches_term,
    tolerates,
    untolerated,
)
from kubeinstall.scheduler.matrix import Bools, Floats, Ints, Matrix, Node
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.verdict import Refusal

Rows = slice | Ints
ALL = slice(None)

OK, UNSCHEDULABLE, NAME, TAINT, AFFINITY, ELSEWHERE = range(6)
STATIC_REASONS = {
    UNSCHEDULABLE: ("NodeUnschedulable", "node(s) were unschedulable"),
    NAME: ("NodeName", "node(s) didn't match the requested node name"),
    TAINT: ("TaintToleration", "node(s) had untolerated taint(s)"),
    AFFINITY: ("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"),
    ELSEWHERE: ("NodeAffinity", "node(s) didn't satisfy plugin(s) [NodeAffinity]"),
}
PORTS_REASON = "node(s) didn't have free ports for the requested pod ports"

_MB = 1024 * 1024
_IMAGE_MIN = 23 * _MB
_IMAGE_MAX = 1000 * _MB


class LocalVerdict:
    """The columns of one pod shape. `ok` passes all local filters; scores are 0 to 100."""

    __slots__ = (
        "generation", "image", "ok", "position", "preference", "resources", "size", "soft_taints",
        "static",
    )  # fmt: skip

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = -1
        self.generation = -1
        self.static: Ints = np.zeros(size, dtype=np.int64)
        self.ok: Bools = np.zeros(size, dtype=np.bool_)
        self.resources: Floats = np.zeros(size)
        self.preference: Floats | None = None
        self.soft_taints: Floats | None = None
        self.image: Floats | None = None


class LocalPlugins:
    """Computes and keeps local verdicts; bounded, the shape unused for longest is dropped first."""

    def __init__(self, matrix: Matrix, limit: int = 256) -> None:
        self._matrix = matrix
        self._limit = limit
        self._kept: OrderedDict[bytes, LocalVerdict] = OrderedDict()

    def verdict(self, pod: PodInfo) -> LocalVerdict:
        """The current columns for the pod's shape."""
        matrix = self._matrix
        kept = self._kept.get(pod.shape)
        if kept is None or kept.size != matrix.size:
            kept = LocalVerdict(matrix.size)
            self._kept[pod.shape] = kept
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(pod.shape)
        if kept.position == matrix.position:
            return kept
        changed = matrix.changed_since(kept.position) if kept.position >= 0 else None
        rows: Rows = ALL
        if changed is not None and len(changed) * 4 < matrix.size:
            rows = np.fromiter(changed, dtype=np.int64, count=len(changed))
        self._compute(pod, kept, rows)
        kept.position = matrix.position
        return kept

    def fits(self, pod: PodInfo, node: Node) -> bool:
        """Whether one node passes, computed for it alone: dry runs ask this very often."""
        matrix, row = self._matrix, node.row
        kept = self._kept.get(pod.shape)
        if kept is None or kept.size != matrix.size or kept.generation != matrix.generation:
            kept = self.verdict(pod)
        if kept.static[row] != OK or matrix.used["pods"][row] >= matrix.allocatable["pods"][row]:
            return False
        for resource, value in pod.requests.items():
            total = matrix.allocatable.get(resource)
            if value and (total is None or matrix.used[resource][row] + value > total[row]):
                return False
        return not pod.ports or matrix.port_free(node, pod.ports)

    def refusals(self, pod: PodInfo, alive: Bools) -> list[Refusal]:
        """Refusals of the local filters in upstream's order; `alive` loses the refused rows."""
        kept = self.verdict(pod)
        found: list[Refusal] = []
        everywhere = np.ones(self._matrix.size, dtype=np.bool_)
        for code, (plugin, reason) in STATIC_REASONS.items():
            rows = alive & (kept.static == code)
            if rows.any():
                found.append(Refusal(plugin, reason, rows, everywhere))
        alive &= kept.static == OK
        if pod.ports:
            rows = alive & ~self._ports_ok(pod, ALL)
            if rows.any():
                found.append(Refusal("NodePorts", PORTS_REASON, rows, ~everywhere))
            alive &= ~rows
        short = np.zeros(self._matrix.size, dtype=np.bool_)
        for reason, lacking, lasting in self._lacking(pod):
            rows = alive & lacking
            if rows.any():
                found.append(Refusal("NodeResourcesFit", reason, rows, lasting))
                short |= rows
        alive &= ~short
        return found

    # Filters

    def _compute(self, pod: PodInfo, kept: LocalVerdict, rows: Rows) -> None:
        matrix = self._matrix
        if isinstance(rows, slice) or kept.generation != matrix.generation:
            self._static(pod, kept, rows)
            kept.generation = matrix.generation
        ok = matrix.present[rows] & (kept.static[rows] == OK)
        ok &= matrix.used["pods"][rows] + 1 <= matrix.allocatable["pods"][rows]
        for resource, value in pod.requests.items():
            if value:
                ok &= _room(matrix, resource, value, rows)
        if pod.ports:
            ok &= self._ports_ok(pod, rows)
        kept.ok[rows] = ok
        kept.resources[rows] = self._resource_score(pod, rows)
        if kept.image is not None or isinstance(rows, slice):
            self._images(pod, kept, rows)

    def _static(self, pod: PodInfo, kept: LocalVerdict, rows: Rows) -> None:
        """Verdicts that depend on the node's own attributes only."""
        matrix = self._matrix
        classes = np.array(
            [_class_code(pod, taints, off) for taints, off in matrix.taint_classes] or [OK],
            dtype=np.int64,
        )
        kept.static[rows] = classes[matrix.taint_class[rows]]
        if pod.node_selector or pod.node_affinity:
            pinned = _pinned_names(pod.node_affinity)
            for node in self._some(rows):
                if pinned is not None and node.name not in pinned:
                    kept.static[node.row] = ELSEWHERE
                elif kept.static[node.row] == OK and not node_affinity_matches(pod, node):
                    kept.static[node.row] = AFFINITY
        if pod.node_preferences:
            if kept.preference is None:
                kept.preference = np.zeros(kept.size)
            for node in self._some(rows):
                kept.preference[node.row] = sum(
                    item["weight"]
                    for item in pod.node_preferences
                    if matches_term(item["preference"], node.labels, node.name)
                )
        soft = np.array(
            [_soft_taints(pod, taints) for taints, _ in matrix.taint_classes] or [0],
            dtype=np.float64,
        )
        if soft.any() or kept.soft_taints is not None:
            if kept.soft_taints is None:
                kept.soft_taints = np.zeros(kept.size)
                rows = ALL
            kept.soft_taints[rows] = soft[matrix.taint_class[rows]]

    def _ports_ok(self, pod: PodInfo, rows: Rows) -> Bools:
        if isinstance(rows, slice):
            ok = np.ones(self._matrix.size, dtype=np.bool_)
            for node in self._matrix.nodes.values():
                if node.ports:
                    ok[node.row] = self._matrix.port_free(node, pod.ports)
            return ok
        nodes = [self._matrix.rows[int(row)] for row in rows]
        free = [node is not None and self._matrix.port_free(node, pod.ports) for node in nodes]
        return np.array(free, dtype=np.bool_)

    def _lacking(self, pod: PodInfo) -> list[tuple[str, Bools, Bools]]:
        """(reason, rows, rows where the whole node is too small) of each resource."""
        matrix = self._matrix
        full = matrix.used["pods"] + 1 > matrix.allocatable["pods"]
        found = [("Too many pods", full, matrix.allocatable["pods"] < 1)]
        for resource, value in pod.requests.items():
            if value:
                lacking = ~_room(matrix, resource, value, ALL)
                total = matrix.allocatable.get(resource)
                never = np.ones(matrix.size, dtype=np.bool_) if total is None else total < value
                found.append((f"Insufficient {resource}", lacking, never))
        return found

    # Scores

    def _resource_score(self, pod: PodInfo, rows: Rows) -> Floats:
        """NodeResourcesFit (LeastAllocated) plus NodeResourcesBalancedAllocation, both of weight 1."""
        matrix = self._matrix
        cpu, memory = matrix.allocatable["cpu"][rows], matrix.allocatable["memory"][rows]
        wanted_cpu = matrix.nonzero_cpu[rows] + pod.nonzero[0]
        wanted_memory = matrix.nonzero_memory[rows] + pod.nonzero[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            least = (_least(cpu, wanted_cpu) + _least(memory, wanted_memory)) // 2
            if pod.best_effort:
                return least
            used_cpu = matrix.used["cpu"][rows] + pod.requests.get("cpu", 0)
            used_memory = matrix.used["memory"][rows] + pod.requests.get("memory", 0)
            share_cpu = np.where(cpu > 0, np.minimum(used_cpu / cpu, 1), 0)
            share_memory = np.where(memory > 0, np.minimum(used_memory / memory, 1), 0)
        # The standard deviation of two shares is half their distance.
        balanced = np.floor((1 - np.abs(share_cpu - share_memory) / 2) * 100)
        result: Floats = least + balanced
        return result

    def _images(self, pod: PodInfo, kept: LocalVerdict, rows: Rows) -> None:
        """ImageLocality: nodes that have the images already, weighed by how common the image is."""
        matrix = self._matrix
        names = pod.images + pod.init_images
        if not any(name in matrix.image_nodes for name in names):
            return
        if kept.image is None:
            kept.image = np.zeros(kept.size)
        total = max(1, len(matrix.nodes))
        share = {name: matrix.image_nodes.get(name, 0) / total for name in names}
        highest = _IMAGE_MAX * max(1, len(names))
        for node in self._some(rows):
            size = sum(
                int(node.images[name] * share[name]) for name in names if name in node.images
            )
            size = min(max(size, _IMAGE_MIN), highest)
            kept.image[node.row] = 100 * (size - _IMAGE_MIN) // (highest - _IMAGE_MIN)

    def _some(self, rows: Rows) -> list[Node]:
        if isinstance(rows, slice):
            return list(self._matrix.nodes.values())
        return [node for row in rows if (node := self._matrix.rows[int(row)]) is not None]


def node_affinity_matches(pod: PodInfo, node: Node) -> bool:
    """spec.nodeSelector and required node affinity."""
    if any(node.labels.get(key) != value for key, value in pod.node_selector.items()):
        return False
    return pod.node_affinity is None or matches_selector(pod.node_affinity, node.labels, node.name)


def _pinned_names(selector: dict[str, object] | None) -> set[str] | None:
    """Node names when every term names them by `metadata.name` (what DaemonSet pods do)."""
    terms = (selector or {}).get("nodeSelectorTerms") or []
    names: set[str] = set()
    for term in terms:  # type: ignore[attr-defined] # object of JSON
        fields = [
            field
            for field in term.get("matchFields") or []
            if field.get("key") == "metadata.name" and field.get("operator") == "In"
        ]
        if not fields:
            return None
        names |= set.intersection(*(set(field.get("values") or []) for field in fields))
    return names if terms else None


def _class_code(pod: PodInfo, taints: list[dict[str, str]], unschedulable: bool) -> int:
    if unschedulable and not any(tolerates(t, UNSCHEDULABLE_TAINT) for t in pod.tolerations):
        return UNSCHEDULABLE
    return TAINT if untolerated(taints, pod.tolerations) is not None else OK


def _soft_taints(pod: PodInfo, taints: list[dict[str, str]]) -> int:
    covering = [t for t in pod.tolerations if t.get("effect") in (None, "", "PreferNoSchedule")]
    return sum(
        1
        for taint in taints
        if taint.get("effect") == "PreferNoSchedule"
        and not any(tolerates(t, taint) for t in covering)
    )


def _room(matrix: Matrix, resource: str, value: int, rows: Rows) -> Bools:
    total = matrix.allocatable.get(resource)
    if total is None:
        return np.zeros(matrix.size, dtype=np.bool_)[rows]
    result: Bools = matrix.used[resource][rows] + value <= total[rows]
    return result


def _least(total: Floats, wanted: Floats) -> Floats:
    result: Floats = np.where((total > 0) & (wanted <= total), (total - wanted) * 100 // total, 0)
    return result
