"""Counts ended pods exactly once, whatever crashes when.

As upstream: the UIDs of ended pods go into `status.uncountedTerminatedPods`, then the pods lose
their finalizer, then the UIDs become numbers. A crash in between leaves a state from which the next
pass can tell what was counted.
"""

from __future__ import annotations

import asyncio

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.controllers.common.pods import PODS, phase
from kubeinstall.controllers.job import facts, failures, indexes
from kubeinstall.controllers.job.view import View
from kubeinstall.errors import Conflict, NotFound

#: UIDs in one status write.
BATCH = 500
PARALLEL = 32


def count_released(status: Object, tracked: set[str]) -> bool:
    """Turn UIDs whose pods have no finalizer any more into numbers; True when any were."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    kept: dict[str, list[str]] = {}
    changed = False
    for field in ("succeeded", "failed"):
        listed = uncounted.get(field) or []
        left = [uid for uid in listed if uid in tracked]
        if len(left) != len(listed):
            changed = True
            status[field] = (status.get(field) or 0) + len(listed) - len(left)
        if left:
            kept[field] = left
    status["uncountedTerminatedPods"] = kept
    return changed


def note_ended(view: View, status: Object) -> list[Object]:
    """Put the UIDs of newly ended pods into the status; the pods that may lose their finalizer."""
    uncounted = {**(status.get("uncountedTerminatedPods") or {})}
    policy = view.job["spec"].get("podFailurePolicy")
    release: list[Object] = []
    known = {*(uncounted.get("succeeded") or ()), *(uncounted.get("failed") or ())}
    release += [p for p in view.pods if p["metadata"]["uid"] in known and facts.tracked(p)]
    for pod in view.fresh_succeeded[:BATCH]:
        # Of an indexed Job the index is what counts, and only once.
        if not facts.is_indexed(view.job):
            uncounted.setdefault("succeeded", []).append(pod["metadata"]["uid"])
        release.append(pod)
    for pod in view.fresh_failed[:BATCH]:
        if failures.counts(policy, pod):
            uncounted.setdefault("failed", []).append(pod["metadata"]["uid"])
        # A pod that is on its way out is counted now and let go.
        release.append(pod)
    status["uncountedTerminatedPods"] = uncounted
    if facts.is_indexed(view.job):
        done = view.succeeded_indexes
        status["completedIndexes"] = indexes.text(done)
        status["succeeded"] = len(done)
        if view.job["spec"].get("backoffLimitPerIndex") is not None:
            status["failedIndexes"] = indexes.text(view.failed_indexes)
    return release


async def release(client: ApiClient, pods: list[Object]) -> set[str]:
    """Take the finalizer from pods; the UIDs of those that have it no more."""
    gate = asyncio.Semaphore(PARALLEL)
    done: set[str] = set()

    async def one(pod: Object) -> None:
        async with gate:
            if await release_one(client, pod):
                done.add(pod["metadata"]["uid"])

    await asyncio.gather(*(one(pod) for pod in pods))
    return done


async def release_one(client: ApiClient, pod: Object) -> bool:
    """Take the finalizer from one pod; False when somebody else changed it meanwhile."""
    meta = pod["metadata"]
    patch = {
        "metadata": {"uid": meta["uid"], "$deleteFromPrimitiveList/finalizers": [facts.FINALIZER]}
    }
    try:
        await client.patch(PODS, meta["name"], patch, meta["namespace"], kind="strategic")
    except NotFound:
        return True
    except Conflict:
        # Another pod has the name: ours is gone.
        return phase(pod) in {"Succeeded", "Failed"}
    return True
