"""The loop of upstream's statefulset controller."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods, revisions
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.common.revisions import REVISIONS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.statefulset import facts
from kubeinstall.controllers.statefulset.control import StatefulPodControl
from kubeinstall.controllers.statefulset.facts import CLAIMS, STATEFUL_SETS
from kubeinstall.controllers.statefulset.rollout import Rollout, status

HASH_LABEL = "controller.kubernetes.io/hash"


class StatefulSetController(QueueController):
    """Keys are `namespace/name` of StatefulSets."""

    name: ClassVar[str] = "statefulset-controller"
    component: ClassVar[str] = "statefulset-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_statefulset_syncs
        index = {owners.CONTROLLER_INDEX: owners.controller_index}
        self._sets = self.informer(STATEFUL_SETS)
        self._pods = self.informer(PODS, index)
        self._revisions = self.informer(REVISIONS, index)
        self._control = StatefulPodControl(self.client, self.events, self.informer(CLAIMS))
        self._sets.add_handler(self._set_changed)
        self._pods.add_handler(self._pod_changed)

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for state in (old, new):
            owner = self._owner(state) if state is not None else None
            if owner is not None:
                self.queue.add(key_of(owner))
        if new is not None and owners.controller_ref(new) is None and not owners.deleting(new):
            for stateful_set in self._sets.list(new["metadata"]["namespace"]):
                if _selector(stateful_set).matches(owners.labels_of(new)):
                    self.queue.add(key_of(stateful_set))

    def _owner(self, obj: Object) -> Object | None:
        ref = owners.controller_ref(obj)
        if ref is None or ref["kind"] != "StatefulSet":
            return None
        found = self._sets.get(ref["name"], obj["metadata"]["namespace"])
        return found if found is not None and found["metadata"]["uid"] == ref["uid"] else None

    async def reconcile(self, key: str) -> float | None:
        """One pass, then the status, also when the pass failed."""
        stateful_set = self._sets.get_key(key)
        if stateful_set is None:
            return None
        current, update, listed = await self._history(stateful_set)
        members = await self._members(stateful_set)
        rollout = Rollout(stateful_set, current, update, self._control)
        try:
            await rollout.step(members)
        finally:
            await self._write_status(rollout, members)
        used = {facts.revision_of(pod) for pod in members}
        used |= {current["metadata"]["name"], update["metadata"]["name"]}
        limit = stateful_set["spec"].get("revisionHistoryLimit")
        await revisions.truncate(self.client, listed, used, limit)
        return self._recheck(stateful_set, members)

    def _recheck(self, stateful_set: Object, members: list[Object]) -> float | None:
        wait = facts.min_ready(stateful_set)
        if not wait:
            return None
        now = times.parse(times.now())
        left = [t for pod in members if (t := pods.available_in(pod, wait, now))]
        return min(left) + 0.1 if left else None

    def _claimer(self, stateful_set: Object) -> owners.Claimer:
        meta = stateful_set["metadata"]

        async def fresh() -> Object:
            return await self.client.get(STATEFUL_SETS, meta["name"], meta["namespace"])

        return owners.Claimer(
            self.client, stateful_set, "apps/v1", "StatefulSet", _selector(stateful_set), fresh
        )

    async def _members(self, stateful_set: Object) -> list[Object]:
        meta = stateful_set["metadata"]
        candidates = self._pods.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._pods.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )
        return await self._claimer(stateful_set).claim(
            PODS, candidates, lambda pod: facts.is_member(stateful_set, pod)
        )

    async def _history(self, stateful_set: Object) -> tuple[Object, Object, list[Object]]:
        """(revision that the update started from, revision of the template, all)."""
        meta = stateful_set["metadata"]
        candidates = self._revisions.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._revisions.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )
        claimer = self._claimer(stateful_set)
        listed = revisions.ordered(await claimer.claim(REVISIONS, candidates))
        data = revisions.data_of(stateful_set)
        same = [r for r in listed if r.get("data") == data]
        number = revisions.next_number([r for r in listed if r not in same])
        if same:
            update = same[-1]
            if (update.get("revision") or 0) < number:
                update = await revisions.renumber(self.client, update, number)
        else:
            try:
                update = await revisions.create(
                    self.client, stateful_set, "StatefulSet", number, HASH_LABEL, {}
                )
            except revisions.Collision:
                await self._count_collision(stateful_set)
                raise
        wanted = (stateful_set.get("status") or {}).get("currentRevision")
        current = next((r for r in listed if r["metadata"]["name"] == wanted), update)
        return current, update, listed

    async def _count_collision(self, stateful_set: Object) -> None:
        old = stateful_set.get("status") or {}
        changed = {**old, "collisionCount": (old.get("collisionCount") or 0) + 1}
        await self.client.update_status(STATEFUL_SETS, {**stateful_set, "status": changed})

    async def _write_status(self, rollout: Rollout, members: list[Object]) -> None:
        stateful_set = rollout.stateful_set
        old = stateful_set.get("status") or {}
        new = status(rollout, members, old.get("collisionCount") or 0)
        if new != old:
            await self.client.update_status(STATEFUL_SETS, {**stateful_set, "status": new})


def _selector(stateful_set: Object) -> LabelSelector:
    return LabelSelector.from_object(stateful_set["spec"].get("selector") or {})
