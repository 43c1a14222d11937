"""One look at a Job and its pods: everything that a pass decides by."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.job import facts, failures, indexes


@dataclass(slots=True)
class View:
    """Counts include what earlier passes counted; `fresh_*` are pods that nobody has counted yet."""

    job: Object
    pods: list[Object]
    active: list[Object] = field(default_factory=list)
    terminating: list[Object] = field(default_factory=list)
    fresh_succeeded: list[Object] = field(default_factory=list)
    fresh_failed: list[Object] = field(default_factory=list)
    succeeded: int = 0
    failed: int = 0
    succeeded_indexes: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)

    @property
    def completions(self) -> int:
        """`spec.completions`; 0 when any number will do."""
        return int(self.job["spec"].get("completions") or 0)

    def ready(self) -> int:
        """Active pods that are ready."""
        return sum(1 for pod in self.active if pods.ready(pod))


def look(job: Object, found: list[Object]) -> View:
    """Sort the pods of a job and count."""
    view = View(job, found)
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    known = {*(uncounted.get("succeeded") or ()), *(uncounted.get("failed") or ())}
    policy = job["spec"].get("podFailurePolicy")
    for pod in found:
        if pods.active(pod):
            view.active.append(pod)
        elif owners.deleting(pod) and not pods.finished(pod):
            view.terminating.append(pod)
        if not facts.tracked(pod) or pod["metadata"]["uid"] in known:
            continue
        if pods.phase(pod) == "Succeeded":
            view.fresh_succeeded.append(pod)
        elif facts.pod_failed(job, pod):
            view.fresh_failed.append(pod)
    counted_failures = [p for p in view.fresh_failed if failures.counts(policy, p)]
    view.failed = (
        (status.get("failed") or 0) + len(uncounted.get("failed") or ()) + len(counted_failures)
    )
    view.succeeded = (
        (status.get("succeeded") or 0)
        + len(uncounted.get("succeeded") or ())
        + len(view.fresh_succeeded)
    )
    if facts.is_indexed(job):
        _look_at_indexes(view, status, policy)
    return view


def _look_at_indexes(view: View, status: Object, policy: Object | None) -> None:
    limit = view.completions
    view.succeeded_indexes = indexes.parse(status.get("completedIndexes"), limit)
    for pod in view.pods:
        known = 0 <= facts.index_of(pod) < limit
        if known and pods.phase(pod) == "Succeeded" and facts.tracked(pod):
            view.succeeded_indexes.add(facts.index_of(pod))
    view.succeeded = len(view.succeeded_indexes)
    per_index = view.job["spec"].get("backoffLimitPerIndex")
    if per_index is None:
        return
    view.failed_indexes = indexes.parse(status.get("failedIndexes"), limit)
    for pod in view.fresh_failed:
        index = facts.index_of(pod)
        if not 0 <= index < limit:
            continue
        action = failures.judge(policy, pod).action
        spent = action != "Ignore" and facts.index_failures(pod) >= per_index
        if action == "FailIndex" or spent:
            view.failed_indexes.add(index)
