"""The loop of upstream's cronjob controller."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.client.events import reference
from kubeinstall.controllers.common import conditions, owners
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.cronjob.schedule import Schedule, most_recent, parse
from kubeinstall.errors import AlreadyExists, NotFound, StatusError

CRON_JOBS = "batch/v1/cronjobs"
JOBS = "batch/v1/jobs"
SCHEDULED_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"
#: Slack after the scheduled moment, as upstream's.
SLACK_SECONDS = 0.1


class CronJobController(QueueController):
    """Keys are `namespace/name` of CronJobs."""

    name: ClassVar[str] = "cronjob-controller"
    component: ClassVar[str] = "cronjob-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_cron_job_syncs
        self._crons = self.informer(CRON_JOBS)
        self._jobs = self.informer(JOBS, {owners.CONTROLLER_INDEX: owners.controller_index})
        self._crons.add_handler(self._cron_changed)
        self._jobs.add_handler(self._job_changed)

    def _cron_changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _job_changed(self, old: Object | None, new: Object | None) -> None:
        job = new or old or {}
        ref = owners.controller_ref(job)
        if ref is not None and ref["kind"] == "CronJob":
            self.queue.add(f"{job['metadata']['namespace']}/{ref['name']}")

    async def reconcile(self, key: str) -> float | None:
        """Note ended Jobs, start what is due, say when to look again."""
        cron = self._crons.get_key(key)
        if cron is None:
            return None
        jobs = self._jobs.by_index(owners.CONTROLLER_INDEX, cron["metadata"]["uid"])
        status = copy.deepcopy(cron.get("status") or {})
        await self._note_ended(cron, jobs, status)
        again = None if owners.deleting(cron) else await self._start(cron, jobs, status)
        if not status.get("active"):
            status.pop("active", None)
        if status != (cron.get("status") or {}):
            await self.client.update_status(CRON_JOBS, {**cron, "status": status})
        await self._prune(cron, jobs)
        return again

    async def _note_ended(self, cron: Object, jobs: list[Object], status: Object) -> None:
        active = status.setdefault("active", [])
        known = {ref["uid"] for ref in active}
        present: set[str] = set()
        for job in jobs:
            uid = job["metadata"]["uid"]
            present.add(uid)
            end = _end(job)
            if end is None:
                continue
            if uid in known:
                name = job["metadata"]["name"]
                text = f"Saw completed job: {name}, condition: {end['type']}"
                self.events.event(cron, "Normal", "SawCompletedJob", text)
                active[:] = [ref for ref in active if ref["uid"] != uid]
            done = (job.get("status") or {}).get("completionTime")
            if end["type"] == "Complete" and done and done > status.get("lastSuccessfulTime", ""):
                status["lastSuccessfulTime"] = done
        for ref in [ref for ref in active if ref["uid"] not in present]:
            if not await self._exists(ref):
                text = f"Active job went missing: {ref['name']}"
                self.events.event(cron, "Normal", "MissingJob", text)
                active.remove(ref)

    async def _exists(self, ref: Object) -> bool:
        """The cache may be behind our own create: ask."""
        try:
            found = await self.client.get(JOBS, ref["name"], ref["namespace"])
        except NotFound:
            return False
        return bool(found["metadata"]["uid"] == ref["uid"])

    async def _start(self, cron: Object, jobs: list[Object], status: Object) -> float | None:
        spec = cron["spec"]
        if spec.get("suspend"):
            return None
        try:
            schedule = parse(spec["schedule"], spec.get("timeZone"))
        except ValueError as error:
            reason = "UnknownTimeZone" if "time zone" in str(error) else "UnparseableSchedule"
            text = f'invalid schedule: "{spec["schedule"]}" : {error}'
            self.events.event(cron, "Warning", reason, text)
            return None
        now = times.parse(times.now_micro())
        due, many = most_recent(schedule, _earliest(cron, status, now), now)
        if many:
            text = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or"
                " check clock skew"
            )
            self.events.event(cron, "Warning", "TooManyMissedTimes", text)
        if due is not None:
            await self._start_due(cron, jobs, status, due, now)
        return _until_next(schedule, now)

    async def _start_due(
        self, cron: Object, jobs: list[Object], status: Object, due: datetime, now: datetime
    ) -> None:
        spec, active = cron["spec"], status["active"]
        limit = spec.get("startingDeadlineSeconds")
        if limit is not None and due + timedelta(seconds=limit) < now:
            text = f"Missed scheduled time to start a job: {times.format_time(due)}"
            self.events.event(cron, "Warning", "MissSchedule", text)
            return
        name = _job_name(cron, due)
        if any(ref["name"] == name for ref in active):
            return
        policy = spec.get("concurrencyPolicy") or "Allow"
        if policy == "Forbid" and active:
            text = (
                "Not starting job because prior execution is running and concurrency policy is"
                " Forbid"
            )
            self.events.event(cron, "Normal", "JobAlreadyActive", text)
            return
        if policy == "Replace":
            for ref in list(active):
                await self._delete(cron, ref["name"])
                active.remove(ref)
        await self._create(cron, status, name, due)

    async def _create(self, cron: Object, status: Object, name: str, due: datetime) -> None:
        try:
            job = await self.client.create(JOBS, _job(cron, name, due))
        except AlreadyExists:
            # Made by an earlier pass whose status write was lost.
            job = await self.client.get(JOBS, name, cron["metadata"]["namespace"])
            ref = owners.controller_ref(job)
            if ref is None or ref["uid"] != cron["metadata"]["uid"]:
                raise
            if _end(job) is not None:
                status["lastScheduleTime"] = times.format_time(due)
                return
        except StatusError as error:
            if namespace_terminating(error):
                return
            text = f"Error creating job: {error.message}"
            self.events.event(cron, "Warning", "FailedCreate", text)
            raise
        else:
            self.events.event(cron, "Normal", "SuccessfulCreate", f"Created job {name}")
        status["active"].append(reference(job))
        status["lastScheduleTime"] = times.format_time(due)

    async def _delete(self, cron: Object, name: str) -> None:
        try:
            await self.client.delete(
                JOBS, name, cron["metadata"]["namespace"], propagation_policy="Background"
            )
        except NotFound:
            return
        self.events.event(cron, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    async def _prune(self, cron: Object, jobs: list[Object]) -> None:
        """Keep as many ended Jobs as the history limits say, the youngest."""
        limits = {
            "Complete": cron["spec"].get("successfulJobsHistoryLimit"),
            "Failed": cron["spec"].get("failedJobsHistoryLimit"),
        }
        for kind, limit in limits.items():
            if limit is None:
                continue
            ended = [job for job in jobs if (_end(job) or {}).get("type") == kind]
            ended.sort(
                key=lambda job: (
                    (job.get("status") or {}).get("startTime") or "",
                    job["metadata"]["name"],
                )
            )
            for job in ended[: max(0, len(ended) - limit)]:
                if not owners.deleting(job):
                    await self._delete(cron, job["metadata"]["name"])


def _end(job: Object) -> Object | None:
    listed = (job.get("status") or {}).get("conditions")
    for kind in ("Complete", "Failed"):
        found = conditions.find(listed, kind)
        if found is not None and found["status"] == "True":
            return found
    return None


def _earliest(cron: Object, status: Object, now: datetime) -> datetime:
    start = times.parse(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
    limit = cron["spec"].get("startingDeadlineSeconds")
    if limit is not None:
        start = max(start, now - timedelta(seconds=limit))
    return start


def _until_next(schedule: Schedule, now: datetime) -> float | None:
    following = schedule.next(now)
    return None if following is None else (following - now).total_seconds() + SLACK_SECONDS


def _job_name(cron: Object, due: datetime) -> str:
    """`<name>-<minutes since 1970>`: the same moment never starts two Jobs."""
    return f"{cron['metadata']['name']}-{int(due.timestamp()) // 60}"


def _job(cron: Object, name: str, due: datetime) -> Object:
    template = cron["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    zone = cron["spec"].get("timeZone")
    moment = times.format_time(due)
    if zone:
        moment = due.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": cron["metadata"]["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_ANNOTATION: moment},
            "ownerReferences": [owners.new_controller_ref(cron, "batch/v1", "CronJob")],
        },
        "spec": copy.deepcopy(template["spec"]),
    }
