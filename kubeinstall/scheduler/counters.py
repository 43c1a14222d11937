"""How many pods of a kind run on each node, kept up to date as pods come and go.

Spreading and pod affinity ask "how many pods that this selector picks are in each domain". Counting over
all pods for every decision is what makes these slow elsewhere; here each distinct question has an array of
counts a node, made once and then changed by one element a pod.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.scheduler.matrix import Floats, Matrix
from kubeinstall.scheduler.pod import PodInfo, Term

#: Questions remembered; the one unused for longest is forgotten first.
_LIMIT = 512

NamespaceLabels = Callable[[str], Mapping[str, str]]


class _Counter:
    __slots__ = ("counts", "covers")

    def __init__(self, covers: Callable[[PodInfo], bool], size: int) -> None:
        self.covers = covers
        self.counts: Floats = np.zeros(size)

    def fit(self, size: int) -> None:
        if len(self.counts) < size:
            self.counts = np.concatenate([self.counts, np.zeros(size - len(self.counts))])


class _Demand:
    """Pods that carry the same term: how many (times weight) on each node."""

    __slots__ = ("counts", "term", "total")

    def __init__(self, term: Term, size: int) -> None:
        self.term = term
        self.counts: Floats = np.zeros(size)
        self.total = 0


class Counters:
    """Counts of matching pods, and the terms that running pods impose on new ones."""

    def __init__(self, matrix: Matrix, namespace_labels: NamespaceLabels) -> None:
        self._matrix = matrix
        self._namespace_labels = namespace_labels
        self._counters: OrderedDict[str, _Counter] = OrderedDict()
        self._anti: dict[str, _Demand] = {}
        self._preferred: dict[str, _Demand] = {}

    def add(self, pod: PodInfo, row: int) -> None:
        """A pod now runs on `row`."""
        self._change(pod, row, 1)

    def remove(self, pod: PodInfo, row: int) -> None:
        """A pod no longer runs on `row`."""
        self._change(pod, row, -1)

    def forget(self) -> None:
        """Drop the counts of selectors over namespaces: labels of a namespace changed."""
        self._counters.clear()

    def selected(self, namespace: str, key: str, selector: LabelSelector) -> Floats:
        """Pods a row in `namespace` that `selector` picks (not those being deleted)."""
        return self._get(
            f"s {namespace} {key}",
            lambda pod: (
                pod.namespace == namespace and not pod.deleting and selector.matches(pod.labels)
            ),
        )

    def covered(self, term: Term) -> Floats:
        """Pods a row that an affinity term picks."""
        labels = self._namespace_labels
        return self._get(
            f"t {term.key}",
            lambda pod: term.covers(pod.namespace, pod.labels, labels(pod.namespace)),
        )

    def all_covered(self, terms: tuple[Term, ...]) -> Floats:
        """Pods a row that all terms pick: affinity asks for one pod that satisfies every term."""
        labels = self._namespace_labels
        key = "a " + " ".join(term.key for term in terms)
        return self._get(
            key,
            lambda pod: all(
                t.covers(pod.namespace, pod.labels, labels(pod.namespace)) for t in terms
            ),
        )

    def anti(self, pod: PodInfo) -> Iterable[tuple[str, Floats]]:
        """(topology key, counts a row) of running pods whose required anti-affinity picks `pod`."""
        return self._demands(self._anti, pod)

    def preferred(self, pod: PodInfo) -> Iterable[tuple[str, Floats]]:
        """(topology key, weights a row) of running pods whose preferences pick `pod`."""
        return self._demands(self._preferred, pod)

    @property
    def has_anti(self) -> bool:
        """Whether any running pod has required anti-affinity."""
        return bool(self._anti)

    @property
    def has_preferred(self) -> bool:
        """Whether any running pod has preferences about its neighbours."""
        return bool(self._preferred)

    def _demands(self, demands: dict[str, _Demand], pod: PodInfo) -> Iterable[tuple[str, Floats]]:
        labels = self._namespace_labels(pod.namespace) if demands else {}
        for demand in demands.values():
            if demand.term.covers(pod.namespace, pod.labels, labels):
                demand.counts = _fitted(demand.counts, self._matrix.size)
                yield demand.term.topology, demand.counts

    def _get(self, key: str, covers: Callable[[PodInfo], bool]) -> Floats:
        counter = self._counters.get(key)
        if counter is None:
            counter = _Counter(covers, self._matrix.size)
            for node in self._matrix.nodes.values():
                counter.counts[node.row] = sum(1 for pod in node.pods.values() if covers(pod))
            self._counters[key] = counter
            if len(self._counters) > _LIMIT:
                self._counters.popitem(last=False)
        else:
            self._counters.move_to_end(key)
            counter.fit(self._matrix.size)
        return counter.counts

    def _change(self, pod: PodInfo, row: int, sign: int) -> None:
        for counter in self._counters.values():
            if counter.covers(pod):
                counter.fit(self._matrix.size)
                counter.counts[row] += sign
        for term in pod.anti_affinity:
            self._demand(self._anti, term, row, sign, 1)
        for term in pod.preferred:
            self._demand(self._preferred, term, row, sign, term.weight)
        for term in pod.affinity:
            # Upstream's hardPodAffinityWeight: a required term also draws the pods it picks.
            self._demand(self._preferred, term, row, sign, 1)

    def _demand(
        self, demands: dict[str, _Demand], term: Term, row: int, sign: int, weight: int
    ) -> None:
        demand = demands.get(term.key)
        if demand is None:
            demand = demands[term.key] = _Demand(term, self._matrix.size)
        demand.counts = _fitted(demand.counts, self._matrix.size)
        demand.counts[row] += sign * weight
        demand.total += sign
        if not demand.total:
            del demands[term.key]


def _fitted(counts: Floats, size: int) -> Floats:
    if len(counts) >= size:
        return counts
    return np.concatenate([counts, np.zeros(size - len(counts))])
