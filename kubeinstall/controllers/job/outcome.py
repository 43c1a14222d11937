"""Whether a Job is over, and why."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions
from kubeinstall.controllers.common.pods import restarts
from kubeinstall.controllers.job import facts, failures, indexes
from kubeinstall.controllers.job.view import View

_LIMIT = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
_TOO_MANY_INDEXES = (
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
_SOME_INDEXES = ("FailedIndexes", "Job has failed indexes")
_DONE = ("CompletionsReached", "Reached expected number of succeeded pods")


def decide(view: View) -> Object | None:
    """FailureTarget or SuccessCriteriaMet as a condition that is due, or None while the Job runs."""
    pending = facts.pending_end(view.job)
    if pending is not None:
        return pending
    reason = _failure(view)
    if reason is not None:
        return conditions.make("FailureTarget", "True", *reason)
    reason = _success_policy(view)
    if reason is None and _complete(view):
        if view.failed_indexes:
            return conditions.make("FailureTarget", "True", *_SOME_INDEXES)
        reason = _DONE
    return conditions.make("SuccessCriteriaMet", "True", *reason) if reason is not None else None


def final(pending: Object) -> Object:
    """The condition that ends the Job once all its pods have ended."""
    kind = "Failed" if pending["type"] == "FailureTarget" else "Complete"
    return conditions.make(kind, "True", pending.get("reason", ""), pending.get("message", ""))


def deadline_left(job: Object) -> float | None:
    """Seconds until `activeDeadlineSeconds` are over; None without a deadline or a start."""
    limit = job["spec"].get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if limit is None or not started or facts.suspended(job):
        return None
    return times.unix(started) + float(limit) - times.parse(times.now_micro()).timestamp()


def _failure(view: View) -> tuple[str, str] | None:
    job, spec = view.job, view.job["spec"]
    policy = spec.get("podFailurePolicy")
    for pod in view.fresh_failed:
        verdict = failures.judge(policy, pod)
        if verdict.action == "FailJob":
            return "PodFailurePolicy", verdict.message
    limit = spec.get("backoffLimit", 6)
    if view.failed > limit or _restarted_too_often(view, limit):
        return _LIMIT
    left = deadline_left(job)
    if left is not None and left <= 0:
        return _DEADLINE
    most = spec.get("maxFailedIndexes")
    if most is not None and len(view.failed_indexes) > most:
        return _TOO_MANY_INDEXES
    return None


def _restarted_too_often(view: View, limit: int) -> bool:
    """With restartPolicy OnFailure pods do not fail: their containers' restarts count instead."""
    template = view.job["spec"]["template"].get("spec") or {}
    if template.get("restartPolicy") != "OnFailure":
        return False
    total = sum(
        _all_restarts(pod)
        for pod in view.pods
        if (pod.get("status") or {}).get("phase") in {"Running", "Pending"}
    )
    return total > 0 if limit == 0 else total >= limit


def _all_restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    listed = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return sum(s.get("restartCount") or 0 for s in listed) if listed else restarts(pod)


def _complete(view: View) -> bool:
    spec = view.job["spec"]
    if spec.get("completions") is None:
        # Any success will do, once all workers have ended.
        return view.succeeded > 0 and not view.active
    if view.failed_indexes:
        return view.succeeded + len(view.failed_indexes) >= view.completions
    return view.succeeded >= view.completions


def _success_policy(view: View) -> tuple[str, str] | None:
    policy = view.job["spec"].get("successPolicy") or {}
    for number, rule in enumerate(policy.get("rules") or ()):
        done = view.succeeded_indexes
        wanted = rule.get("succeededIndexes")
        if wanted is not None:
            named = indexes.parse(wanted, view.completions)
            done = done & named
            needed = rule.get("succeededCount", len(named))
        else:
            needed = rule.get("succeededCount") or 0
        if needed and len(done) >= needed:
            return "SuccessPolicy", f"Matched rules at index {number}"
    return None
