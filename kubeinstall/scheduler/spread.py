"""PodTopologySpread: keep matching pods even over zones, hosts or any other label."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kubeinstall.scheduler.affinity import untolerated
from kubeinstall.scheduler.local import node_affinity_matches
from kubeinstall.scheduler.matrix import Bools, Floats, Ints
from kubeinstall.scheduler.pod import PodInfo, Spread
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Refusal

PLUGIN = "PodTopologySpread"
SKEW_REASON = "node(s) didn't match pod topology spread constraints"
LABEL_REASON = f"{SKEW_REASON} (missing required label)"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"

#: Constraints for a pod that has none itself, from what selects it (Services, its ReplicaSet, …).
DefaultConstraints = Callable[[PodInfo], tuple[Spread, ...]]


def filter_spread(state: ClusterState, pod: PodInfo, alive: Bools) -> list[Refusal]:
    """Refuse nodes where a hard constraint would be broken; `alive` loses them."""
    hard = [constraint for constraint in pod.spread if constraint.hard]
    if not hard:
        return []
    matrix = state.matrix
    found: list[Refusal] = []
    everywhere = np.ones(matrix.size, dtype=np.bool_)
    keyed = matrix.present.copy()
    for constraint in hard:
        keyed &= matrix.domains(constraint.topology)[0] >= 0
    for constraint in hard:
        ids, number = matrix.domains(constraint.topology)
        unlabelled = alive & (ids < 0)
        if unlabelled.any():
            found.append(Refusal(PLUGIN, LABEL_REASON, unlabelled, everywhere))
        alive &= ~unlabelled
        counted = keyed & _eligible(state, pod, constraint)
        per_domain = _per_domain(state, pod, constraint, counted, ids, number)
        domains = np.flatnonzero(np.bincount(ids[counted]))
        least = per_domain[domains].min() if len(domains) else 0.0
        if len(domains) < constraint.min_domains:
            least = 0.0
        mine = 1 if constraint.selector.matches(pod.labels) else 0
        skewed = alive & (per_domain[ids] + mine - least > constraint.max_skew)
        if skewed.any():
            found.append(Refusal(PLUGIN, SKEW_REASON, skewed, ~everywhere))
        alive &= ~skewed
    return found


def score_spread(
    state: ClusterState, pod: PodInfo, feasible: Bools, defaults: DefaultConstraints
) -> Floats | None:
    """0 to 100 a node, or None when nothing says where the pod belongs."""
    soft = [constraint for constraint in pod.spread if not constraint.hard]
    system = not pod.spread
    if system:
        soft = list(defaults(pod))
    if not soft:
        return None
    matrix = state.matrix
    scored = feasible.copy()
    if not system:
        for constraint in soft:
            scored &= matrix.domains(constraint.topology)[0] >= 0
    total = np.zeros(matrix.size)
    for constraint in soft:
        ids, number = matrix.domains(constraint.topology)
        counts = state.counters.selected(pod.namespace, constraint.key, constraint.selector)
        if constraint.topology == HOSTNAME:
            domains = int(scored.sum())
            seen = counts
        else:
            counted = matrix.present & _eligible(state, pod, constraint)
            per_domain = _per_domain(state, pod, constraint, counted, ids, number)
            domains = int(np.count_nonzero(np.bincount(ids[scored & (ids >= 0)])))
            seen = per_domain[ids]
        weight = math.log(domains + 2)
        total += np.where(ids >= 0, seen * weight + (constraint.max_skew - 1), 0)
    return _normalized(np.rint(total), scored)


def _normalized(raw: Floats, scored: Bools) -> Floats:
    """Few matching pods is good; nodes that lack a label get nothing."""
    if not scored.any():
        return np.zeros(len(raw))
    lowest, highest = raw[scored].min(), raw[scored].max()
    if highest == 0:
        return np.where(scored, 100.0, 0.0)
    return np.where(scored, 100 * (highest + lowest - raw) // highest, 0.0)


def _eligible(state: ClusterState, pod: PodInfo, constraint: Spread) -> Bools:
    """Nodes whose pods count: those the pod could go to as far as affinity (and taints) say."""
    matrix = state.matrix
    mask = np.ones(matrix.size, dtype=np.bool_)
    if constraint.honor_affinity and (pod.node_selector or pod.node_affinity):
        for node in matrix.nodes.values():
            mask[node.row] = node_affinity_matches(pod, node)
    if constraint.honor_taints:
        fine = np.array(
            [untolerated(taints, pod.tolerations) is None for taints, _ in matrix.taint_classes]
            or [True]
        )
        mask &= fine[matrix.taint_class]
    return mask


def _per_domain(
    state: ClusterState,
    pod: PodInfo,
    constraint: Spread,
    counted: Bools,
    ids: Ints,
    number: int,
) -> Floats:
    counts = state.counters.selected(pod.namespace, constraint.key, constraint.selector)
    # One more domain at the end catches index -1, that is nodes without the label.
    rows = counted & (ids >= 0)
    return np.bincount(ids[rows], weights=counts[rows], minlength=number + 1).astype(np.float64)
