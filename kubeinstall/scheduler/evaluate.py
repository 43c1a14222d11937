"""One scheduling decision: which nodes can take a pod, and which of them is best."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from kubeinstall.scheduler.interpod import filter_interpod, score_interpod
from kubeinstall.scheduler.local import LocalPlugins, LocalVerdict
from kubeinstall.scheduler.matrix import Bools, Floats
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.spread import DefaultConstraints, filter_spread, score_spread
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Diagnosis, Refusal
from kubeinstall.scheduler.volumes import VolumePlugin

#: Upstream's default weights of the score plugins that are not 1.
TAINT_WEIGHT, PREFERENCE_WEIGHT, SPREAD_WEIGHT, INTERPOD_WEIGHT = 3, 2, 2, 2


@dataclass(slots=True)
class Choice:
    """The chosen node, or why there is none. `feasible` is how many nodes could take the pod."""

    node: str
    feasible: int
    diagnosis: Diagnosis | None = None


class Evaluator:
    """Filters and scores over all nodes at once."""

    def __init__(
        self,
        state: ClusterState,
        volumes: VolumePlugin,
        defaults: DefaultConstraints,
        seed: int | None = None,
    ) -> None:
        self._state = state
        self._volumes = volumes
        self._defaults = defaults
        self._local = LocalPlugins(state.matrix)
        self._random = random.Random(seed)  # noqa: S311 - breaks ties between equal nodes

    def choose(self, pod: PodInfo) -> Choice:
        """Pick the best node; ties are broken by chance, so that equal nodes fill evenly."""
        matrix = self._state.matrix
        if not matrix.nodes:
            return Choice("", 0, Diagnosis(0))
        feasible, verdict, refused = self._filter(pod)
        if not feasible.any():
            return Choice("", 0, refused or self.diagnose(pod))
        nominated = self._state.nominated_node(pod.key)
        node = matrix.nodes.get(nominated) if nominated else None
        count = int(np.count_nonzero(feasible))
        if node is not None and feasible[node.row]:
            return Choice(nominated, count)
        total = self._scores(pod, verdict, feasible)
        best = np.flatnonzero(total == total.max())
        row = int(best[0] if len(best) == 1 else best[self._random.randrange(len(best))])
        chosen = matrix.rows[row]
        return Choice(chosen.name if chosen is not None else "", count)

    def diagnose(self, pod: PodInfo) -> Diagnosis:
        """Every node's refusals, in plugin order, for messages and `explain`."""
        matrix = self._state.matrix
        result = Diagnosis(len(matrix.nodes))
        early = self._volumes.early(pod)
        if early:
            result.early, result.plugins = early, {"VolumeBinding"}
            return result
        alive = matrix.present.copy()
        result.refusals += self._local.refusals(pod, alive)
        if self._state.nominations():
            result.refusals += self._nominated_refusals(pod, alive)
        if pod.claims or pod.volumes:
            result.refusals += self._volumes.filter(pod, alive)
        result.refusals += filter_spread(self._state, pod, alive)
        result.refusals += filter_interpod(self._state, pod, alive)
        result.plugins = {refusal.plugin for refusal in result.refusals}
        return result

    def fits(self, pod: PodInfo, node: str) -> bool:
        """Whether one node could take the pod as things are (for dry runs of preemption)."""
        state = self._state
        found = state.matrix.nodes[node]
        if not self._local.fits(pod, found):
            return False
        if not (
            pod.claims
            or pod.spread
            or pod.affinity
            or pod.anti_affinity
            or state.counters.has_anti
            or node in state.nominations()
        ):
            return True
        feasible, _, _ = self._filter(pod)
        return bool(feasible[found.row])

    def scores(self, pod: PodInfo) -> dict[str, float]:
        """Total score of each node that could take the pod, for `explain`."""
        feasible, verdict, _ = self._filter(pod)
        total = self._scores(pod, verdict, feasible)
        return {
            node.name: float(total[node.row])
            for node in self._state.matrix.nodes.values()
            if feasible[node.row]
        }

    def _filter(self, pod: PodInfo) -> tuple[Bools, LocalVerdict, Diagnosis | None]:
        state = self._state
        verdict = self._local.verdict(pod)
        feasible = verdict.ok.copy()
        if state.nominations():
            self._nominated_refusals(pod, feasible)
        if pod.claims or pod.volumes:
            early = self._volumes.early(pod)
            if early:
                found = Diagnosis(len(state.matrix.nodes), early=early, plugins={"VolumeBinding"})
                return np.zeros_like(feasible), verdict, found
            self._volumes.filter(pod, feasible)
        if pod.spread:
            filter_spread(state, pod, feasible)
        if pod.affinity or pod.anti_affinity or state.counters.has_anti:
            filter_interpod(state, pod, feasible)
        return feasible, verdict, None

    def _nominated_refusals(self, pod: PodInfo, alive: Bools) -> list[Refusal]:
        """Nodes whose room is kept for pods at least as important that wait for their victims to go."""
        matrix, found = self._state.matrix, []
        for name, waiting in self._state.nominations().items():
            node = matrix.nodes.get(name)
            others = [
                p for p in waiting.values() if p.key != pod.key and p.priority >= pod.priority
            ]
            if node is None or not others or not alive[node.row]:
                continue
            for resource, value in (*pod.requests.items(), ("pods", 1)):
                total = matrix.allocatable.get(resource)
                kept = sum(p.requests.get(resource, 0) if resource != "pods" else 1 for p in others)
                used = matrix.used[resource][node.row] if total is not None else 0.0
                if value and (total is None or used + kept + value > total[node.row]):
                    rows = np.zeros(matrix.size, dtype=np.bool_)
                    rows[node.row] = True
                    reason = "Too many pods" if resource == "pods" else f"Insufficient {resource}"
                    found.append(Refusal("NodeResourcesFit", reason, rows, ~rows & False))
                    alive[node.row] = False
        return found

    def _scores(self, pod: PodInfo, verdict: LocalVerdict, feasible: Bools) -> Floats:
        """The sum of all plugins; -1 where the pod cannot go."""
        total = verdict.resources
        if verdict.image is not None:
            total = total + verdict.image
        if verdict.soft_taints is not None:
            worst = verdict.soft_taints[feasible].max()
            share = verdict.soft_taints * 100 // worst if worst else 0.0
            total = total + TAINT_WEIGHT * (100 - share)
        if verdict.preference is not None:
            highest = verdict.preference[feasible].max()
            if highest > 0:
                total = total + PREFERENCE_WEIGHT * (verdict.preference * 100 // highest)
        spread = score_spread(self._state, pod, feasible, self._defaults)
        if spread is not None:
            total = total + SPREAD_WEIGHT * spread
        neighbours = score_interpod(self._state, pod, feasible)
        if neighbours is not None:
            total = total + INTERPOD_WEIGHT * neighbours
        result: Floats = np.where(feasible, total, -1.0)
        return result
