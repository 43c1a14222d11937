"""The loop of upstream's daemonset controller."""

from __future__ import annotations

import time
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import Expectations, key_of
from kubeinstall.controllers.common import owners, pods, revisions
from kubeinstall.controllers.common.podcontrol import (
    PodControl,
    in_parallel,
    namespace_terminating,
    slow_start,
)
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.common.revisions import REVISIONS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.daemonset import plan as planning
from kubeinstall.controllers.daemonset.nodes import HASH_LABEL, Fit, fits, new_pod, target_node
from kubeinstall.controllers.daemonset.plan import Plan
from kubeinstall.controllers.daemonset.status import calculate
from kubeinstall.errors import Forbidden, NotFound, StatusError

DAEMON_SETS = "apps/v1/daemonsets"
NODES = "v1/nodes"
BURST = 250
#: Back-off of deleting failed pods of one DaemonSet on one node.
FAILED_BASE_SECONDS = 1.0
FAILED_CAP_SECONDS = 900.0


class DaemonSetController(QueueController):
    """Keys are `namespace/name` of DaemonSets."""

    name: ClassVar[str] = "daemonset-controller"
    component: ClassVar[str] = "daemonset-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_daemonset_syncs
        self._expected = Expectations()
        self._pod_control = PodControl(self.client, self.events)
        #: (DaemonSet UID, node) to (failures, not before).
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        self._sets = self.informer(DAEMON_SETS)
        self._nodes = self.informer(NODES)
        index = {owners.CONTROLLER_INDEX: owners.controller_index}
        self._pods = self.informer(PODS, index)
        self._revisions = self.informer(REVISIONS, index)
        self._sets.add_handler(self._set_changed)
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)
        self._revisions.add_handler(self._revision_changed)

    # What changed

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._expected.forget(key_of(old))
            uid = old["metadata"]["uid"]
            for known in [k for k in self._failures if k[0] == uid]:
                del self._failures[known]
        self.queue.add(key_of(new or old or {}))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _placement(old) == _placement(new):
            return
        for daemon_set in self._sets.list():
            before = fits(daemon_set, old) if old is not None else Fit(False, False)
            after = fits(daemon_set, new) if new is not None else Fit(False, False)
            if before != after:
                self.queue.add(key_of(daemon_set))

    def _revision_changed(self, old: Object | None, new: Object | None) -> None:
        owner = self._owner(new or old or {})
        if owner is not None:
            self.queue.add(key_of(owner))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        owner = self._owner(pod)
        if owner is None:
            if new is not None and owners.controller_ref(new) is None:
                self._wake_for_orphan(new)
            return
        key = key_of(owner)
        if old is None and not owners.deleting(pod):
            self._expected.created(key)
        if new is None or owners.deleting(pod):
            self._expected.deleted(key, pod["metadata"]["uid"])
        self.queue.add(key)

    def _wake_for_orphan(self, pod: Object) -> None:
        if owners.deleting(pod):
            return
        for daemon_set in self._sets.list(pod["metadata"]["namespace"]):
            if _selector(daemon_set).matches(owners.labels_of(pod)):
                self.queue.add(key_of(daemon_set))

    def _owner(self, obj: Object) -> Object | None:
        ref = owners.controller_ref(obj)
        if ref is None or ref["kind"] != "DaemonSet":
            return None
        found = self._sets.get(ref["name"], obj["metadata"]["namespace"])
        return found if found is not None and found["metadata"]["uid"] == ref["uid"] else None

    # The loop

    async def reconcile(self, key: str) -> float | None:
        """Place pods, roll the template on, write the status."""
        daemon_set = self._sets.get_key(key)
        if daemon_set is None or owners.deleting(daemon_set):
            return None
        selector = daemon_set["spec"].get("selector") or {}
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self.events.event(daemon_set, "Warning", "SelectingAll", text)
            return None
        current, history = await self._history(daemon_set)
        revision = owners.labels_of(current)[HASH_LABEL]
        judged = {n["metadata"]["name"]: fits(daemon_set, n) for n in self._nodes.list()}
        again = None
        if self._expected.satisfied(key):
            again = await self._manage(key, daemon_set, judged, revision)
        if self._expected.satisfied(key) and _strategy(daemon_set) == "RollingUpdate":
            await self._roll(key, daemon_set, judged, revision)
        mine = await self._by_node(daemon_set)
        used = {_revision_of(p) for found in mine.values() for p in found}
        names = {f"{daemon_set['metadata']['name']}-{digest}" for digest in used}
        limit = daemon_set["spec"].get("revisionHistoryLimit")
        await revisions.truncate(self.client, history, names, limit)
        return await self._finish(daemon_set, judged, mine, revision, again)

    async def _finish(
        self,
        daemon_set: Object,
        judged: dict[str, Fit],
        mine: dict[str, list[Object]],
        revision: str,
        again: float | None,
    ) -> float | None:
        now = times.parse(times.now())
        status = calculate(daemon_set, judged, mine, revision, now)
        if status != (daemon_set.get("status") or {}):
            await self.client.update_status(DAEMON_SETS, {**daemon_set, "status": status})
        wait = daemon_set["spec"].get("minReadySeconds") or 0
        waits = [
            left + 0.1
            for found in mine.values()
            for pod in found
            if wait and (left := pods.available_in(pod, wait, now))
        ]
        if again is not None:
            waits.append(again)
        return min(waits) if waits else None

    async def _history(self, daemon_set: Object) -> tuple[Object, list[Object]]:
        """(revision of the current template, the others)."""
        claimer = self._claimer(daemon_set)
        meta = daemon_set["metadata"]
        candidates = self._revisions.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._revisions.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )
        listed = revisions.ordered(await claimer.claim(REVISIONS, candidates))
        data = revisions.data_of(daemon_set)
        same = [r for r in listed if r.get("data") == data]
        number = revisions.next_number([r for r in listed if r not in same])
        if same:
            current = same[-1]
            if (current.get("revision") or 0) < number:
                current = await revisions.renumber(self.client, current, number)
        else:
            notes = dict(meta.get("annotations") or {})
            try:
                current = await revisions.create(
                    self.client, daemon_set, "DaemonSet", number, HASH_LABEL, notes
                )
            except revisions.Collision:
                await self._count_collision(daemon_set)
                raise
        name = current["metadata"]["name"]
        return current, [r for r in listed if r["metadata"]["name"] != name]

    async def _count_collision(self, daemon_set: Object) -> None:
        status = daemon_set.get("status") or {}
        changed = {**status, "collisionCount": (status.get("collisionCount") or 0) + 1}
        await self.client.update_status(DAEMON_SETS, {**daemon_set, "status": changed})

    def _claimer(self, daemon_set: Object) -> owners.Claimer:
        meta = daemon_set["metadata"]

        async def fresh() -> Object:
            return await self.client.get(DAEMON_SETS, meta["name"], meta["namespace"])

        return owners.Claimer(
            self.client, daemon_set, "apps/v1", "DaemonSet", _selector(daemon_set), fresh
        )

    async def _by_node(self, daemon_set: Object) -> dict[str, list[Object]]:
        meta = daemon_set["metadata"]
        candidates = self._pods.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._pods.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )
        by_node: dict[str, list[Object]] = {}
        for pod in await self._claimer(daemon_set).claim(PODS, candidates):
            by_node.setdefault(target_node(pod), []).append(pod)
        return by_node

    async def _manage(
        self, key: str, daemon_set: Object, judged: dict[str, Fit], revision: str
    ) -> float | None:
        """Right pods on right nodes; seconds until a failed pod may be replaced."""
        mine = await self._by_node(daemon_set)
        desired = sum(1 for fit in judged.values() if fit.run)
        surge, _ = planning.surge_and_unavailable(daemon_set, desired)
        wait = daemon_set["spec"].get("minReadySeconds") or 0
        now = times.parse(times.now())
        total = Plan()
        delays: list[float] = []
        for node in (judged.keys() | mine.keys()) - {""}:
            found = mine.get(node) or []
            # A node that is not there (any more) keeps no pods. Pods for no node are left alone.
            fit = judged.get(node, Fit(False, False))
            part = planning.place(fit, node, found, revision, surge, wait, now)
            total.create += part.create
            total.delete += part.delete
            for pod in part.failed:
                delay = self._failed(daemon_set, node, pod)
                if delay > 0:
                    delays.append(delay)
                else:
                    total.delete.append(pod)
            for pod in part.succeeded:
                self._say_ended(daemon_set, node, pod, "SucceededDaemonPod", "succeeded")
                total.delete.append(pod)
        await self._apply(key, daemon_set, total, revision)
        return min(delays) if delays else None

    def _failed(self, daemon_set: Object, node: str, pod: Object) -> float:
        """Seconds to wait before a failed pod is deleted; 0 when it may be now."""
        known = (daemon_set["metadata"]["uid"], node)
        failures, not_before = self._failures.get(known, (0, 0.0))
        now = time.monotonic()
        if now < not_before:
            return not_before - now
        delay = min(FAILED_CAP_SECONDS, FAILED_BASE_SECONDS * 2.0**failures)
        self._failures[known] = (min(failures + 1, 20), now + delay)
        self._say_ended(daemon_set, node, pod, "FailedDaemonPod", "failed")
        return 0.0

    def _say_ended(self, daemon_set: Object, node: str, pod: Object, reason: str, how: str) -> None:
        text = f"Found {how} daemon pod {key_of(pod)} on node {node}, will try to "
        text += "kill it" if how == "failed" else "delete it"
        kind = "Warning" if how == "failed" else "Normal"
        self.events.event(daemon_set, kind, reason, text)

    async def _roll(
        self, key: str, daemon_set: Object, judged: dict[str, Fit], revision: str
    ) -> None:
        mine = await self._by_node(daemon_set)
        placed = {node: mine.get(node) or [] for node, fit in judged.items() if fit.run}
        surge, unavailable = planning.surge_and_unavailable(daemon_set, len(placed))
        wait = daemon_set["spec"].get("minReadySeconds") or 0
        now = times.parse(times.now())
        step = planning.roll(placed, revision, surge, unavailable, wait, now)
        await self._apply(key, daemon_set, step, revision)

    async def _apply(self, key: str, daemon_set: Object, plan: Plan, revision: str) -> None:
        create, delete = plan.create[:BURST], plan.delete[:BURST]
        if not create and not delete:
            return
        self._expected.expect_creations(key, len(create))
        self._expected.expect_deletions(key, [pod["metadata"]["uid"] for pod in delete])
        started = 0

        async def make(number: int) -> None:
            nonlocal started
            started += 1
            try:
                pod = new_pod(daemon_set, create[number], revision)
                await self._pod_control.create(pod, daemon_set)
            except Forbidden as error:
                self._expected.created(key)
                if not namespace_terminating(error):
                    raise
            except StatusError:
                self._expected.created(key)
                raise

        async def end(pod: Object) -> None:
            try:
                await self._pod_control.delete(pod, daemon_set)
            except NotFound:
                self._expected.deleted(key, pod["metadata"]["uid"])
            except StatusError:
                self._expected.deleted(key, pod["metadata"]["uid"])
                raise

        _, problem = await slow_start(len(create), make)
        self._expected.created(key, len(create) - started)
        problem = await in_parallel([end(pod) for pod in delete]) or problem
        if problem is not None:
            raise problem


def _selector(daemon_set: Object) -> LabelSelector:
    return LabelSelector.from_object(daemon_set["spec"].get("selector") or {})


def _strategy(daemon_set: Object) -> str:
    return (daemon_set["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"


def _revision_of(pod: Object) -> str:
    return owners.labels_of(pod).get(HASH_LABEL) or ""


def _placement(node: Object) -> tuple[object, ...]:
    """What of a node decides about daemon pods."""
    return owners.labels_of(node), (node.get("spec") or {}).get("taints")
