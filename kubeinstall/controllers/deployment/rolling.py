"""The two strategies: rolling update, and recreate."""

from __future__ import annotations

from collections.abc import Callable

from kubeinstall.api.types import Object
from kubeinstall.controllers.deployment import facts, progress
from kubeinstall.controllers.deployment.revisions import clean_up, new_replicas, sync_revision
from kubeinstall.controllers.deployment.work import Work


async def roll(work: Work) -> float | None:
    """One step of a rolling update: up first, then down, as the fences allow."""
    new = await sync_revision(work, create=True)
    if new is not None and await _move_new(work, new):
        return await progress.report(work)
    if new is not None and await _shrink_old(work, new):
        return await progress.report(work)
    if facts.complete(work.deployment, work.deployment.get("status") or {}):
        await clean_up(work)
    return await progress.report(work)


async def recreate(work: Work, others_run: Callable[[Object | None], bool]) -> float | None:
    """One step of recreate: old pods go first; `others_run(new)` says whether any are left."""
    new = await sync_revision(work, create=False)
    old = facts.active(work.old_sets())
    for rs in old:
        await work.scale(rs, 0)
    if old or others_run(new):
        return await progress.report(work)
    new = await sync_revision(work, create=True)
    if new is not None:
        await work.scale(new, facts.replicas(work.deployment))
    if facts.complete(work.deployment, work.deployment.get("status") or {}):
        await clean_up(work)
    return await progress.report(work)


async def _move_new(work: Work, new: Object) -> bool:
    wanted, current = facts.replicas(work.deployment), facts.replicas(new)
    if current == wanted:
        return False
    size = wanted if current > wanted else new_replicas(work, current)
    if size == current:
        return False
    await work.scale(new, size)
    return True


async def _shrink_old(work: Work, new: Object) -> bool:
    """Take pods from old ReplicaSets: the broken ones first, then as many as may be unavailable."""
    old = facts.active(work.old_sets())
    if not old:
        return False
    at_least = facts.replicas(work.deployment) - facts.max_unavailable(work.deployment)
    not_yet = facts.replicas(new) - facts.status_count(new, "availableReplicas")
    spare = facts.total(work.sets) - at_least - not_yet
    if spare <= 0:
        return False
    broken = await _drop_unhealthy(work, old, spare)
    healthy = await _drop_healthy(work, at_least)
    return broken + healthy > 0


async def _drop_unhealthy(work: Work, old: list[Object], limit: int) -> int:
    done = 0
    for rs in facts.by_age(old):
        if done >= limit:
            break
        size = facts.replicas(rs)
        unhealthy = size - facts.status_count(rs, "availableReplicas")
        if unhealthy <= 0:
            continue
        count = min(limit - done, unhealthy)
        await work.scale(rs, size - count)
        done += count
    return done


async def _drop_healthy(work: Work, at_least: int) -> int:
    limit = facts.total_status(work.sets, "availableReplicas") - at_least
    done = 0
    for rs in facts.by_age(facts.active(work.old_sets())):
        if done >= limit:
            break
        size = facts.replicas(rs)
        count = min(size, limit - done)
        await work.scale(rs, size - count)
        done += count
    return done
