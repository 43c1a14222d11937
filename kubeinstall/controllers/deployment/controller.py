"""The loop of upstream's deployment controller."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import conditions, owners, pods
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.deployment import facts, progress, rolling, scaling
from kubeinstall.controllers.deployment.work import DEPLOYMENTS, REPLICA_SETS, Work


class DeploymentController(QueueController):
    """Keys are `namespace/name` of Deployments."""

    name: ClassVar[str] = "deployment-controller"
    component: ClassVar[str] = "deployment-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_deployment_syncs
        self._deployments = self.informer(DEPLOYMENTS)
        self._sets = self.informer(REPLICA_SETS, {owners.CONTROLLER_INDEX: owners.controller_index})
        self._pods = self.informer(PODS, {owners.CONTROLLER_INDEX: owners.controller_index})
        self._deployments.add_handler(self._deployment_changed)
        self._sets.add_handler(self._set_changed)
        self._pods.add_handler(self._pod_changed)

    def _deployment_changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        rs = new or old
        if rs is None:
            return
        for state in (old, new):
            owner = self._owner(state) if state is not None else None
            if owner is not None:
                self.queue.add(key_of(owner))
        if new is not None and owners.controller_ref(new) is None and not owners.deleting(new):
            for deployment in self._deployments.list(rs["metadata"]["namespace"]):
                if _selector(deployment).matches(owners.labels_of(new)):
                    self.queue.add(key_of(deployment))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """A Recreate rollout waits for the last old pod to go."""
        if old is None or (new is not None and not pods.finished(new)):
            return
        rs = owners.controller_ref(old)
        if rs is None or rs["kind"] != "ReplicaSet":
            return
        found = self._sets.get(rs["name"], old["metadata"]["namespace"])
        owner = self._owner(found) if found is not None else None
        if owner is not None and not facts.is_rolling(owner):
            self.queue.add(key_of(owner))

    def _owner(self, rs: Object) -> Object | None:
        ref = owners.controller_ref(rs)
        if ref is None or ref["kind"] != "Deployment":
            return None
        found = self._deployments.get(ref["name"], rs["metadata"]["namespace"])
        return found if found is not None and found["metadata"]["uid"] == ref["uid"] else None

    async def reconcile(self, key: str) -> float | None:
        """One step towards the template and number asked for."""
        deployment = self._deployments.get_key(key)
        if deployment is None:
            return None
        selector = deployment["spec"].get("selector") or {}
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            self.events.event(
                deployment,
                "Warning",
                "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            )
            return None
        work = Work(self.client, self.events, deployment, await self._claim(deployment))
        if owners.deleting(deployment):
            await progress.report_plain(work)
            return None
        await _note_pause(work)
        if work.deployment["spec"].get("paused") or scaling.is_scaling(work):
            await scaling.sync(work)
            return None
        if facts.is_rolling(work.deployment):
            return await rolling.roll(work)
        return await rolling.recreate(work, lambda new: self._others_run(work, new))

    async def _claim(self, deployment: Object) -> list[Object]:
        meta = deployment["metadata"]
        candidates = self._sets.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += self._sets.by_index(
            owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
        )

        async def fresh() -> Object:
            return await self.client.get(DEPLOYMENTS, meta["name"], meta["namespace"])

        claimer = owners.Claimer(
            self.client, deployment, "apps/v1", "Deployment", _selector(deployment), fresh
        )
        return await claimer.claim(REPLICA_SETS, candidates)

    def _others_run(self, work: Work, new: Object | None) -> bool:
        for rs in work.sets:
            if new is not None and rs["metadata"]["uid"] == new["metadata"]["uid"]:
                continue
            owned = self._pods.by_index(owners.CONTROLLER_INDEX, rs["metadata"]["uid"])
            if any(not pods.finished(pod) for pod in owned):
                return True
        return False


def _selector(deployment: Object) -> LabelSelector:
    return LabelSelector.from_object(deployment["spec"].get("selector") or {})


async def _note_pause(work: Work) -> None:
    """Say in the Progressing condition that the clock stands still, or runs again."""
    deployment = work.deployment
    if not facts.has_deadline(deployment):
        return
    status = deployment.get("status") or {}
    listed = status.get("conditions") or []
    current = conditions.find(listed, "Progressing")
    reason = (current or {}).get("reason")
    if reason == "ProgressDeadlineExceeded":
        return
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason != "DeploymentPaused":
        made = ("DeploymentPaused", "Deployment is paused")
    elif not paused and reason == "DeploymentPaused":
        made = ("DeploymentResumed", "Deployment is resumed")
    else:
        return
    condition = conditions.make("Progressing", "Unknown", *made, updated=True)
    await work.write_status({**status, "conditions": conditions.set_condition(listed, condition)})
