"""Deletes ended Jobs after their `ttlSecondsAfterFinished`."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import conditions, owners
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import NotFound

JOBS = "batch/v1/jobs"


class TTLAfterFinishedController(QueueController):
    """Keys are `namespace/name` of Jobs."""

    name: ClassVar[str] = "ttl-after-finished-controller"
    component: ClassVar[str] = "ttl-after-finished-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_ttl_after_finished_syncs
        self._jobs = self.informer(JOBS)
        self._jobs.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and _expires(new) is not None:
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Delete the Job when its time is up, else wait for it."""
        job = self._jobs.get_key(key)
        if job is None or owners.deleting(job):
            return None
        left = _left(job)
        if left is None or left > 0:
            return left
        meta = job["metadata"]
        try:
            # The cache may be behind a change of the TTL.
            job = await self.client.get(JOBS, meta["name"], meta["namespace"])
            left = _left(job)
            if left is None or left > 0 or job["metadata"]["uid"] != meta["uid"]:
                return left
            await self.client.delete(
                JOBS,
                meta["name"],
                meta["namespace"],
                uid=meta["uid"],
                propagation_policy="Foreground",
            )
        except NotFound:
            return None
        return None


def _expires(job: Object) -> float | None:
    """When the Job may go, in seconds since 1970; None when never or not yet known."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None:
        return None
    listed = (job.get("status") or {}).get("conditions")
    for kind in ("Complete", "Failed"):
        found = conditions.find(listed, kind)
        if found is not None and found["status"] == "True":
            return times.unix(found["lastTransitionTime"]) + float(ttl)
    return None


def _left(job: Object) -> float | None:
    expires = _expires(job)
    if expires is None:
        return None
    return max(0.0, expires - times.parse(times.now_micro()).timestamp())
