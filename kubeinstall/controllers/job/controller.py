"""The loop of upstream's job controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import Expectations, key_of
from kubeinstall.controllers.common import conditions, owners, pods
from kubeinstall.controllers.common.podcontrol import (
    PodControl,
    in_parallel,
    namespace_terminating,
    slow_start,
)
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.job import building, facts, failures, outcome, tracking
from kubeinstall.controllers.job.backoff import FailureRecord
from kubeinstall.controllers.job.facts import JOBS
from kubeinstall.controllers.job.view import View, look
from kubeinstall.errors import Forbidden, NotFound, StatusError

BURST = 500


class JobController(QueueController):
    """Keys are `namespace/name` of Jobs; `!namespace/name` of pods whose Job is gone."""

    name: ClassVar[str] = "job-controller"
    component: ClassVar[str] = "job-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_job_syncs
        self._expected = Expectations()
        self._pod_control = PodControl(self.client, self.events)
        self._records: dict[str, dict[int, FailureRecord]] = {}
        self._noted: dict[str, set[str]] = {}
        self._jobs = self.informer(JOBS)
        self._pods = self.informer(PODS, {owners.CONTROLLER_INDEX: owners.controller_index})
        self._jobs.add_handler(self._job_changed)
        self._pods.add_handler(self._pod_changed)

    # What changed

    def _job_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        if new is None and old is not None:
            self._forget(key)
            for pod in self._pods.by_index(owners.CONTROLLER_INDEX, old["metadata"]["uid"]):
                if facts.tracked(pod):
                    self.queue.add(f"!{key_of(pod)}")
        self.queue.add(key)

    def _forget(self, key: str) -> None:
        self._expected.forget(key)
        self._records.pop(key, None)
        self._noted.pop(key, None)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        ref = owners.controller_ref(pod)
        before = owners.controller_ref(old) if old is not None else None
        if before is not None and before != ref and before["kind"] == "Job":
            # It was cut loose: its Job may want it back, or must replace it.
            self.queue.add(f"{pod['metadata']['namespace']}/{before['name']}")
        if ref is None or ref["kind"] != "Job":
            if new is not None:
                self._orphan_changed(new)
            return
        job = self._jobs.get(ref["name"], pod["metadata"]["namespace"])
        if job is None or job["metadata"]["uid"] != ref["uid"]:
            if new is not None and facts.tracked(new) and self._jobs.synced():
                self.queue.add(f"!{key_of(new)}")
            return
        key = key_of(job)
        if old is None and not owners.deleting(pod):
            self._expected.created(key)
        if new is None or owners.deleting(pod):
            self._expected.deleted(key, pod["metadata"]["uid"])
        self.queue.add(key)

    def _orphan_changed(self, pod: Object) -> None:
        takers = self._matching(pod) if not owners.deleting(pod) else []
        for job in takers:
            self.queue.add(key_of(job))
        if not takers and facts.tracked(pod) and self._jobs.synced():
            # Nobody else will take the finalizer off.
            self.queue.add(f"!{key_of(pod)}")

    def _matching(self, pod: Object) -> list[Object]:
        """The unfinished Jobs that would adopt an orphan."""
        if owners.controller_ref(pod) is not None:
            return []
        return [
            job
            for job in self._jobs.list(pod["metadata"]["namespace"])
            if facts.ended(job) is None
            and not owners.deleting(job)
            and _selector(job).matches(owners.labels_of(pod))
        ]

    # The loop

    async def reconcile(self, key: str) -> float | None:
        """One pass over a Job, or the release of an orphaned pod."""
        if key.startswith("!"):
            await self._release_orphan(key[1:])
            return None
        job = self._jobs.get_key(key)
        if job is None:
            self._forget(key)
            return None
        if job["spec"].get("managedBy") not in {None, "", facts.CONTROLLER_NAME}:
            return None
        found = await self._claim(job)
        if facts.ended(job) is not None:
            self._forget(key)
            await tracking.release(self.client, [p for p in found if facts.tracked(p)])
            return None
        return await self._pass(key, job, found)

    async def _release_orphan(self, key: str) -> None:
        pod = self._pods.get_key(key)
        if pod is None or not facts.tracked(pod):
            return
        if not owners.deleting(pod) and self._matching(pod):
            return
        ref = owners.controller_ref(pod)
        if ref is not None:
            try:
                job = await self.client.get(JOBS, ref["name"], pod["metadata"]["namespace"])
            except NotFound:
                job = None
            if job is not None and job["metadata"]["uid"] == ref["uid"]:
                return
        await tracking.release_one(self.client, pod)

    async def _claim(self, job: Object) -> list[Object]:
        meta = job["metadata"]

        async def fresh() -> Object:
            return await self.client.get(JOBS, meta["name"], meta["namespace"])

        claimer = owners.Claimer(self.client, job, "batch/v1", "Job", _selector(job), fresh)
        candidates = self._pods.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._pods.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )
        return await claimer.claim(PODS, candidates)

    async def _pass(self, key: str, job: Object, found: list[Object]) -> float | None:
        status = dict(job.get("status") or {})
        if not status.get("startTime") and not facts.suspended(job):
            status["startTime"] = times.now()
        job = {**job, "status": status}
        view = look(job, found)
        self._note_failures(key, view)
        pending = outcome.decide(view)
        again: float | None = None
        problem: Exception | None = None
        settled = self._expected.satisfied(key)
        if pending is not None:
            problem = await self._delete(key, job, view.active)
            view.active = []
        elif settled and not owners.deleting(job):
            again, problem = await self._manage(key, view)
        await self._write(key, view, status, pending, settled=settled)
        if problem is not None:
            raise problem
        left = outcome.deadline_left(job)
        waits = [wait for wait in (again, left) if wait is not None]
        return max(0.01, min(waits)) if waits and pending is None else None

    def _note_failures(self, key: str, view: View) -> None:
        noted = self._noted.setdefault(key, set())
        succeeded = [p for p in view.fresh_succeeded if p["metadata"]["uid"] not in noted]
        failed = [p for p in view.fresh_failed if p["metadata"]["uid"] not in noted]
        records = self._records.setdefault(key, {})
        per_index = view.job["spec"].get("backoffLimitPerIndex") is not None
        slots: dict[int, tuple[list[Object], list[Object]]] = {}
        for listed, position in ((succeeded, 0), (failed, 1)):
            for pod in listed:
                index = facts.index_of(pod) if per_index else -1
                slots.setdefault(index, ([], []))[position].append(pod)
        for index, (good, bad) in slots.items():
            records.setdefault(index, FailureRecord()).note(good, bad)
        # Only pods that are still here need remembering.
        present = {p["metadata"]["uid"] for p in view.pods}
        noted &= present
        noted.update(p["metadata"]["uid"] for p in (*succeeded, *failed))
        self._noted[key] = noted

    async def _manage(self, key: str, view: View) -> tuple[float | None, Exception | None]:
        """Delete what is too much, create what is missing; (seconds to wait, problem)."""
        job = view.job
        if facts.suspended(job):
            problem = await self._delete(key, job, view.active, count=False)
            if problem is None:
                view.terminating = view.terminating + view.active
                view.active = []
            return None, problem
        wanted = building.wanted_active(view)
        surplus = building.surplus(view, wanted)
        if surplus:
            problem = await self._delete(key, job, surplus[:BURST], count=False)
            gone = {p["metadata"]["uid"] for p in surplus[:BURST]}
            view.active = [p for p in view.active if p["metadata"]["uid"] not in gone]
            return None, problem
        missing = wanted - len(view.active)
        if facts.only_failed_replaced(job):
            missing -= len(view.terminating)
        if missing <= 0:
            return None, None
        return await self._create(key, view, min(missing, BURST))

    async def _create(
        self, key: str, view: View, count: int
    ) -> tuple[float | None, Exception | None]:
        job = view.job
        records = self._records.get(key) or {}
        per_index = job["spec"].get("backoffLimitPerIndex") is not None
        again: float | None = None
        slots: Sequence[int | None] = [None] * count
        if not per_index and -1 in records and (left := records[-1].left()) > 0:
            return left, None
        if facts.is_indexed(job):
            candidates = building.missing_indexes(view, count if not per_index else BURST)
            waits = {i: records[i].left() if i in records else 0.0 for i in candidates}
            slots = [i for i in candidates if waits[i] <= 0][:count]
            late = [wait for wait in waits.values() if wait > 0]
            again = min(late) if late else None
        problem = await self._create_pods(key, view, slots)
        return again, problem

    async def _create_pods(
        self, key: str, view: View, slots: Sequence[int | None]
    ) -> Exception | None:
        job = view.job
        self._expected.expect_creations(key, len(slots))
        started = 0

        async def one(number: int) -> None:
            nonlocal started
            started += 1
            try:
                pod = building.new_pod(job, slots[number], self._failures_of(view, slots[number]))
                view.active.append(await self._pod_control.create(pod, job))
            except Forbidden as error:
                self._expected.created(key)
                if not namespace_terminating(error):
                    raise
            except StatusError:
                self._expected.created(key)
                raise

        _, problem = await slow_start(len(slots), one)
        self._expected.created(key, len(slots) - started)
        return problem

    def _failures_of(self, view: View, index: int | None) -> int:
        """Failures of an index so far: its last failed pod knows those before it."""
        if index is None:
            return 0
        policy = view.job["spec"].get("podFailurePolicy")
        counts = [
            facts.index_failures(pod) + (1 if failures.counts(policy, pod) else 0)
            for pod in view.pods
            if facts.index_of(pod) == index and facts.pod_failed(view.job, pod)
        ]
        return max(counts, default=0)

    async def _delete(
        self, key: str, job: Object, victims: list[Object], *, count: bool = True
    ) -> Exception | None:
        """Delete pods; without `count` they lose their finalizer first and are no failures."""
        self._expected.expect_deletions(key, [p["metadata"]["uid"] for p in victims])

        async def one(pod: Object) -> None:
            try:
                if not count and facts.tracked(pod):
                    await tracking.release_one(self.client, pod)
                await self._pod_control.delete(pod, job)
            except NotFound:
                self._expected.deleted(key, pod["metadata"]["uid"])
            except StatusError:
                self._expected.deleted(key, pod["metadata"]["uid"])
                raise

        return await in_parallel([one(pod) for pod in victims])

    # Status

    async def _write(
        self, key: str, view: View, status: Object, pending: Object | None, *, settled: bool
    ) -> None:
        """Count ended pods, then say how the Job stands, and at last that it has ended."""
        job = view.job
        tracked = {p["metadata"]["uid"] for p in view.pods if facts.tracked(p)}
        tracking.count_released(status, tracked)
        release = tracking.note_ended(view, status)
        self._fill(view, status, settled=settled)
        status["conditions"] = self._conditions(view, status, pending)
        job = await self._update(job, status)
        if release:
            done = await tracking.release(self.client, release)
            status = dict(job.get("status") or {})
            if tracking.count_released(status, tracked - done):
                self._tidy(status)
                job = await self._update(job, status)
        await self._end_when_quiet(view, job, pending)

    async def _end_when_quiet(self, view: View, job: Object, pending: Object | None) -> None:
        """Complete or Failed comes last: when no pod runs and all are counted."""
        status = dict(job.get("status") or {})
        uncounted = status.get("uncountedTerminatedPods") or {}
        busy = view.active or view.terminating or any(uncounted.values())
        still_there = [p for p in view.pods if pods.active(p) or _dying(p)]
        if pending is None or busy or still_there:
            return
        end = outcome.final(pending)
        status["conditions"] = conditions.set_condition(list(status["conditions"]), end)
        status |= {"ready": 0, "terminating": 0}
        status.pop("active", None)
        if end["type"] == "Complete":
            status["completionTime"] = times.now()
        await self.client.update_status(JOBS, {**job, "status": status})
        if end["type"] == "Complete":
            self.events.event(job, "Normal", "Completed", "Job completed")
        else:
            self.events.event(job, "Warning", end["reason"], end["message"])

    def _fill(self, view: View, status: Object, *, settled: bool) -> None:
        status["active"] = len(view.active)
        status["ready"] = view.ready()
        status["terminating"] = len(view.terminating)
        if not settled:
            # The cache is behind: what it shows is not what there is.
            old = self._jobs.get_key(key_of(view.job)) or {}
            before = (old.get("status") or {}).get("active")
            if before is not None:
                status["active"] = max(before, status["active"])
        self._tidy(status)

    def _tidy(self, status: Object) -> None:
        """Leave out what upstream's encoding leaves out."""
        for name in ("active", "succeeded", "failed", "completedIndexes"):
            if not status.get(name):
                status.pop(name, None)

    def _conditions(self, view: View, status: Object, pending: Object | None) -> list[Object]:
        listed = list(status.get("conditions") or [])
        job = view.job
        if pending is not None:
            listed = conditions.set_condition(listed, pending)
        else:
            listed = self._suspension(job, status, listed)
        return listed

    def _suspension(self, job: Object, status: Object, listed: list[Object]) -> list[Object]:
        current = conditions.find(listed, "Suspended")
        is_suspended = current is not None and current["status"] == "True"
        if facts.suspended(job) and not is_suspended:
            status.pop("startTime", None)
            self.events.event(job, "Normal", "Suspended", "Job suspended")
            made = conditions.make("Suspended", "True", "JobSuspended", "Job suspended")
            return conditions.set_condition(listed, made)
        if not facts.suspended(job) and is_suspended:
            status["startTime"] = times.now()
            self.events.event(job, "Normal", "Resumed", "Job resumed")
            made = conditions.make("Suspended", "False", "JobResumed", "Job resumed")
            return conditions.set_condition(listed, made)
        return listed

    async def _update(self, job: Object, status: Object) -> Object:
        current = self._jobs.get_key(key_of(job)) or {}
        same = current.get("status") == status
        if same and current["metadata"]["resourceVersion"] == job["metadata"]["resourceVersion"]:
            return job
        return await self.client.update_status(JOBS, {**job, "status": status})


def _dying(pod: Object) -> bool:
    return owners.deleting(pod) and not pods.finished(pod)


def _selector(job: Object) -> LabelSelector:
    return LabelSelector.from_object(job["spec"].get("selector") or {})
