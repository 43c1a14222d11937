"""Why a pod is where it is, or nowhere: per node, which filters said no and what the node scored."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinstall.scheduler.evaluate import Evaluator
from kubeinstall.scheduler.matrix import Matrix
from kubeinstall.scheduler.pod import PodInfo


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """One node's answer: `refusals` are (plugin, reason); `score` is None when it was refused."""

    node: str
    refusals: tuple[tuple[str, str], ...]
    score: float | None


def explain(evaluator: Evaluator, matrix: Matrix, pod: PodInfo) -> list[NodeVerdict]:
    """All nodes, best first, refused ones last by name."""
    refusals = evaluator.diagnose(pod).by_node(matrix)
    scores = evaluator.scores(pod)
    verdicts = [
        NodeVerdict(name, tuple(reasons), None if reasons else scores.get(name))
        for name, reasons in refusals.items()
    ]
    return sorted(verdicts, key=lambda v: (v.score is None, -(v.score or 0.0), v.node))
