"""Changes of `spec.replicas`, spread over ReplicaSets in proportion while a rollout is under way."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.controllers.deployment import facts, progress
from kubeinstall.controllers.deployment.revisions import clean_up, sync_revision
from kubeinstall.controllers.deployment.work import Work


def is_scaling(work: Work) -> bool:
    """True when an active ReplicaSet was last scaled for another number of replicas."""
    for rs in facts.active(work.sets):
        desired = facts.notes(rs).get(facts.DESIRED)
        if desired is not None and desired != str(facts.replicas(work.deployment)):
            return True
    return False


async def sync(work: Work) -> None:
    """For paused Deployments and changed numbers: scale, do not roll."""
    await sync_revision(work, create=False)
    await _scale(work)
    if work.deployment["spec"].get("paused"):
        await clean_up(work)
    await progress.report_plain(work)


async def _scale(work: Work) -> None:
    wanted = facts.replicas(work.deployment)
    only = _only_or_latest(work)
    if only is not None:
        await work.scale(only, wanted)
        return
    new = work.new_set()
    if new is not None and _saturated(work, new):
        for rs in facts.active(work.old_sets()):
            await work.scale(rs, 0)
        return
    if facts.is_rolling(work.deployment):
        await _in_proportion(work)


def _only_or_latest(work: Work) -> Object | None:
    found = facts.active(work.sets)
    if len(found) == 1:
        return found[0]
    if found:
        return None
    new = work.new_set()
    if new is not None:
        return new
    old = facts.by_age(work.sets)
    return old[-1] if old else None


def _saturated(work: Work, new: Object) -> bool:
    wanted = facts.replicas(work.deployment)
    return (
        facts.replicas(new) == wanted
        and facts.notes(new).get(facts.DESIRED) == str(wanted)
        and facts.status_count(new, "availableReplicas") == wanted
    )


async def _in_proportion(work: Work) -> None:
    wanted = facts.replicas(work.deployment)
    sets = facts.active(work.sets)
    allowed = wanted + facts.max_surge(work.deployment) if wanted > 0 else 0
    change = allowed - facts.total(sets)
    # The largest gets the rounding; of equal ones the newest grows and the oldest shrinks.
    ordered = facts.by_age(sets)
    if change > 0:
        ordered.reverse()
    ordered.sort(key=facts.replicas, reverse=True)
    sizes: list[int] = []
    added = 0
    for rs in ordered:
        part = _proportion(work, rs, change, added)
        sizes.append(facts.replicas(rs) + part)
        added += part
    if sizes and change:
        sizes[0] = max(0, sizes[0] + change - added)
    for rs, size in zip(ordered, sizes, strict=True):
        await work.resize_or_annotate(rs, size)


def _proportion(work: Work, rs: Object, change: int, added: int) -> int:
    if facts.replicas(rs) == 0 or change in {0, added}:
        return 0
    part = _fraction(work, rs)
    left = change - added
    return min(part, left) if change > 0 else max(part, left)


def _fraction(work: Work, rs: Object) -> int:
    current = facts.replicas(rs)
    wanted = facts.replicas(work.deployment)
    if wanted == 0:
        return -current
    noted = facts.notes(rs).get(facts.MAXIMUM) or ""
    before = int(noted) if noted.isdigit() else facts.status_count(work.deployment, "replicas")
    if before == 0:
        return 0
    new = current * (wanted + facts.max_surge(work.deployment)) / before
    # Half away from zero, as Go rounds.
    return int(new + 0.5) - current
