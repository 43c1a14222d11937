"""What filtering says of the nodes, and how it is told to a user."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from kubeinstall.scheduler.matrix import Bools, Matrix


@dataclass(slots=True)
class Refusal:
    """Nodes (a mask over rows) that one plugin refused for one reason.

    `lasting` marks those for which removing pods would not help (upstream's UnschedulableAndUnresolvable).
    """

    plugin: str
    reason: str
    rows: Bools
    lasting: Bools


@dataclass(slots=True)
class Diagnosis:
    """Why a pod fits nowhere. `early` is a reason found before looking at nodes."""

    nodes: int
    refusals: list[Refusal] = field(default_factory=list)
    early: str = ""
    plugins: set[str] = field(default_factory=set)
    after: str = ""
    #: The pod's victims are on their way out: nothing more to do but wait.
    waiting: bool = False

    def message(self) -> str:
        """Upstream's `FitError`: `0/3 nodes are available: 1 Insufficient cpu, 2 …. preemption: …`."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        if self.early:
            text = f"0/{self.nodes} nodes are available: {self.early}."
        else:
            text = available(self.nodes, self.histogram())
        return f"{text} {self.after}" if self.after else text

    def histogram(self) -> Counter[str]:
        """How many nodes each reason refused."""
        counts: Counter[str] = Counter()
        for refusal in self.refusals:
            counts[refusal.reason] += int(refusal.rows.sum())
        return counts

    def helpless(self, matrix: Matrix) -> Bools:
        """Nodes where removing pods would not help."""
        result = np.zeros(matrix.size, dtype=np.bool_)
        for refusal in self.refusals:
            result |= refusal.rows & refusal.lasting
        return result

    def by_node(self, matrix: Matrix) -> dict[str, list[tuple[str, str]]]:
        """Node name → (plugin, reason) of each refusal, for `explain`."""
        result: dict[str, list[tuple[str, str]]] = {name: [] for name in matrix.nodes}
        for refusal in self.refusals:
            for row in np.flatnonzero(refusal.rows):
                node = matrix.rows[int(row)]
                if node is not None:
                    result[node.name].append((refusal.plugin, refusal.reason))
        return result


def available(nodes: int, reasons: Counter[str]) -> str:
    """`0/3 nodes are available: 1 reason, 2 other.`; reasons sorted as upstream sorts them, as text."""
    parts = sorted(f"{count} {reason}" for reason, count in reasons.items() if count)
    return f"0/{nodes} nodes are available: {', '.join(parts)}."
