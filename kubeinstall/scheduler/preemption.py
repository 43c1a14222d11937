"""Which pods would have to go so that a more important one fits, and where that hurts least.

Upstream's DefaultPreemption: on each node where it could help, all less important pods are taken away in
thought; those that still fit beside the newcomer are given back, the most important first and those under a
disruption budget before others; among the nodes the one with the smallest damage wins.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.scheduler.evaluate import Evaluator
from kubeinstall.scheduler.matrix import Node
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Diagnosis, available

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
#: The best of so many nodes is good enough (upstream: a tenth of the nodes, at least 100).
_CANDIDATES = 100


@dataclass(slots=True)
class Candidate:
    """A node and the pods that must leave it; `violations` of them break a disruption budget."""

    node: str
    victims: list[PodInfo]
    violations: int

    def damage(self) -> tuple[float, ...]:
        """Smaller is better: budgets broken, importance lost, pods lost, age lost."""
        priorities = [victim.priority for victim in self.victims]
        highest = max(priorities)
        oldest = min(
            (_started(victim) for victim in self.victims if victim.priority == highest), default=""
        )
        # Text times compare as times; a later start is better, so its negated order comes last.
        return (
            self.violations,
            highest,
            sum(priority + 2**31 for priority in priorities),
            len(priorities),
            -_as_number(oldest),
        )


class Preemption:
    """Finds a candidate; carrying it out is the component's."""

    def __init__(
        self,
        state: ClusterState,
        evaluator: Evaluator,
        budgets: Callable[[str], Iterable[Object]],
    ) -> None:
        self._state = state
        self._evaluator = evaluator
        self._budgets = budgets

    def find(self, pod: PodInfo, diagnosis: Diagnosis) -> Candidate | None:
        """The best candidate, or None with the reason in `diagnosis.after`."""
        if not pod.preempts:
            diagnosis.after = "preemption: not eligible due to preemptionPolicy=Never."
            return None
        if self._waits_for_victims(pod):
            diagnosis.waiting = True
            diagnosis.after = (
                "preemption: not eligible due to a terminating pod on the nominated node."
            )
            return None
        if diagnosis.early or not diagnosis.nodes:
            return None
        matrix = self._state.matrix
        helpless = diagnosis.helpless(matrix)
        reasons: Counter[str] = Counter()
        lowest = self._state.lowest_priority()
        if lowest is None or lowest >= pod.priority:
            # The common case by far: nobody is less important, so no node needs looking at.
            reasons[NOT_HELPFUL] = int((helpless & matrix.present).sum())
            reasons[NO_VICTIMS] = diagnosis.nodes - reasons[NOT_HELPFUL]
            diagnosis.after = f"preemption: {available(diagnosis.nodes, reasons)}"
            return None
        candidates: list[Candidate] = []
        nodes = list(matrix.nodes.values())
        # Not always the same hundred, or they would be emptied while others are full.
        start = random.randrange(len(nodes))  # noqa: S311 - spreads load
        for node in nodes[start:] + nodes[:start]:
            if helpless[node.row]:
                reasons[NOT_HELPFUL] += 1
                continue
            if len(candidates) >= _CANDIDATES:
                break
            candidate, reason = self._try(pod, node)
            if candidate is not None:
                candidates.append(candidate)
            else:
                reasons[reason] += 1
        if candidates:
            return min(candidates, key=Candidate.damage)
        diagnosis.after = f"preemption: {available(diagnosis.nodes, reasons)}"
        return None

    def _waits_for_victims(self, pod: PodInfo) -> bool:
        node = self._state.matrix.nodes.get(self._state.nominated_node(pod.key) or pod.nominated)
        return node is not None and any(
            other.deleting and other.priority < pod.priority for other in node.pods.values()
        )

    def _try(self, pod: PodInfo, node: Node) -> tuple[Candidate | None, str]:
        lesser = [other for other in node.pods.values() if other.priority < pod.priority]
        if not lesser:
            return None, NO_VICTIMS
        state = self._state
        assumed = {victim.key for victim in lesser} & state.assumed
        removed: dict[str, PodInfo] = {}
        try:
            for victim in lesser:
                state.forget(victim.key)
                removed[victim.key] = victim
            if not self._evaluator.fits(pod, node.name):
                return None, self._reason(pod, node)
            violating, harmless = self._split(sorted(lesser, key=_importance))
            victims: list[PodInfo] = []
            violations = 0
            for victim in [*violating, *harmless]:
                state.place(victim, node.name)
                if self._evaluator.fits(pod, node.name):
                    del removed[victim.key]
                    continue
                state.forget(victim.key)
                victims.append(victim)
                violations += victim in violating
            return (
                (Candidate(node.name, victims, violations), "") if victims else (None, NO_VICTIMS)
            )
        finally:
            for victim in removed.values():
                state.place(victim, node.name)
            state.assumed |= assumed

    def _reason(self, pod: PodInfo, node: Node) -> str:
        reasons = self._evaluator.diagnose(pod).by_node(self._state.matrix)[node.name]
        return reasons[0][1] if reasons else NO_VICTIMS

    def _split(self, pods: list[PodInfo]) -> tuple[list[PodInfo], list[PodInfo]]:
        """(pods whose loss would break a budget, others); budgets are used up in order."""
        left: dict[str, int] = {}
        violating: list[PodInfo] = []
        harmless: list[PodInfo] = []
        for pod in pods:
            broken = False
            for budget in self._budgets(pod.namespace):
                selector = LabelSelector.from_object(budget["spec"].get("selector"))
                disrupted = (budget.get("status") or {}).get("disruptedPods") or {}
                if not pod.labels or not selector.matches(pod.labels) or pod.name in disrupted:
                    continue
                name = budget["metadata"]["name"]
                allowed = (budget.get("status") or {}).get("disruptionsAllowed", 0)
                left[name] = left.get(name, allowed) - 1
                broken |= left[name] < 0
            (violating if broken else harmless).append(pod)
        return violating, harmless


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Most important first: higher priority, then longer running."""
    return (-pod.priority, _started(pod))


def _started(pod: PodInfo) -> str:
    status = pod.obj.get("status") or {}
    return str(status.get("startTime") or pod.obj["metadata"].get("creationTimestamp") or "")


def _as_number(moment: str) -> int:
    digits = "".join(character for character in moment if character.isdigit())
    return int(digits[:14] or 0)
