"""InterPodAffinity: near some pods, away from others."""

from __future__ import annotations

import numpy as np

from kubeinstall.scheduler.matrix import Bools, Floats
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Refusal

PLUGIN = "InterPodAffinity"
AFFINITY_REASON = "node(s) didn't match pod affinity rules"
ANTI_REASON = "node(s) didn't match pod anti-affinity rules"
EXISTING_REASON = "node(s) didn't satisfy existing pods anti-affinity rules"


def filter_interpod(state: ClusterState, pod: PodInfo, alive: Bools) -> list[Refusal]:
    """Refuse nodes that break a required term, of the pod or of a running one; `alive` loses them."""
    found: list[Refusal] = []
    everywhere = np.ones(state.matrix.size, dtype=np.bool_)
    if pod.affinity:
        _refuse(found, alive, ~_near(state, pod), AFFINITY_REASON, everywhere)
    for term in pod.anti_affinity:
        crowded = _domain_counts(state, term.topology, state.counters.covered(term)) > 0
        _refuse(found, alive, crowded, ANTI_REASON, ~everywhere)
    if state.counters.has_anti:
        for topology, counts in state.counters.anti(pod):
            crowded = _domain_counts(state, topology, counts) > 0
            _refuse(found, alive, crowded, EXISTING_REASON, ~everywhere)
    return found


def score_interpod(state: ClusterState, pod: PodInfo, feasible: Bools) -> Floats | None:
    """0 to 100 a node, or None when nobody has a preference."""
    counters = state.counters
    total: Floats | None = None
    for term in pod.preferred:
        counts = _domain_counts(state, term.topology, counters.covered(term)) * term.weight
        total = counts if total is None else total + counts
    if counters.has_preferred:
        for topology, weights in counters.preferred(pod):
            counts = _domain_counts(state, topology, weights)
            total = counts if total is None else total + counts
    if total is None or not feasible.any():
        return None
    lowest, highest = total[feasible].min(), total[feasible].max()
    if highest == lowest:
        return None
    score: Floats = np.floor(100 * (total - lowest) / (highest - lowest))
    return score


def _near(state: ClusterState, pod: PodInfo) -> Bools:
    """Nodes in whose domains every term finds a pod that satisfies all terms.

    The first pod of a group that wants to be near its own kind finds nobody anywhere: it may go to any
    node that has the labels.
    """
    matrix = state.matrix
    counts = state.counters.all_covered(pod.affinity)
    labelled = matrix.present.copy()
    near = matrix.present.copy()
    for term in pod.affinity:
        ids, _ = matrix.domains(term.topology)
        labelled &= ids >= 0
        near &= _domain_counts(state, term.topology, counts) > 0
    if not counts.any():
        own = state.namespace_labels(pod.namespace)
        if all(term.covers(pod.namespace, pod.labels, own) for term in pod.affinity):
            return labelled
    return near & labelled


def _domain_counts(state: ClusterState, topology: str, counts: Floats) -> Floats:
    """For each row the sum over its whole domain; 0 where the label is missing."""
    ids, number = state.matrix.domains(topology)
    rows = ids >= 0
    per_domain = np.bincount(ids[rows], weights=counts[rows], minlength=number + 1)
    result: Floats = np.where(rows, per_domain[ids], 0)
    return result


def _refuse(found: list[Refusal], alive: Bools, bad: Bools, reason: str, lasting: Bools) -> None:
    rows = alive & bad
    if rows.any():
        # Required affinity cannot be mended by removing pods, the others can.
        found.append(Refusal(PLUGIN, reason, rows, lasting))
        alive &= ~rows
