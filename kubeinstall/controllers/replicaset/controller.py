"""The loop of upstream's replicaset controller: claim pods, create or delete, write status."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import Expectations, key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.podcontrol import (
    PodControl,
    in_parallel,
    namespace_terminating,
    pod_from_template,
    slow_start,
)
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.replicaset.kinds import (
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    ReplicaKind,
)
from kubeinstall.controllers.replicaset.status import calculate
from kubeinstall.errors import Forbidden, NotFound, StatusError

#: Pods created or deleted in one pass.
BURST = 500


class ReplicaSetController(QueueController):
    """Keys are `namespace/name` of the owner."""

    name: ClassVar[str] = "replicaset-controller"
    component: ClassVar[str] = "replicaset-controller"
    kind: ClassVar[ReplicaKind] = REPLICA_SET

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_replicaset_syncs
        self._expected = Expectations()
        self._pod_control = PodControl(self.client, self.events)
        self._pods = self.informer(PODS, {owners.CONTROLLER_INDEX: owners.controller_index})
        self._sets = self.informer(
            self.kind.gvr, {owners.CONTROLLER_INDEX: owners.controller_index}
        )
        self._sets.add_handler(self._set_changed)
        self._pods.add_handler(self._pod_changed)

    # What changed

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._expected.forget(key_of(old))
        if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._expected.forget(key_of(old))
        self.queue.add(key_of(new or old or {}))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        if pod is None:
            return
        owner = self._owner(pod)
        if old is None and new is not None and owner and not owners.deleting(new):
            self._expected.created(owner)
        if owner and (new is None or owners.deleting(pod)):
            self._expected.deleted(owner, pod["metadata"]["uid"])
        if owner:
            self.queue.add(owner)
        if old is not None and new is not None:
            before = self._owner(old)
            if before and before != owner:
                self.queue.add(before)
        if not owner and new is not None and owners.controller_ref(new) is None:
            self._wake_for_orphan(old, new)
        if owner and new is not None:
            self._wake_when_available(owner, old, new)

    def _owner(self, pod: Object) -> str | None:
        ref = owners.controller_ref(pod)
        if (
            ref is None
            or ref["kind"] != self.kind.kind
            or ref["apiVersion"] != self.kind.api_version
        ):
            return None
        key = f"{pod['metadata']['namespace']}/{ref['name']}"
        found = self._sets.get_key(key)
        if found is not None and found["metadata"]["uid"] != ref["uid"]:
            return None
        return key

    def _wake_for_orphan(self, old: Object | None, pod: Object) -> None:
        if owners.deleting(pod):
            return
        if (
            old is not None
            and owners.controller_ref(old) is None
            and owners.labels_of(old) == owners.labels_of(pod)
        ):
            return
        for owner in self._sets.list(pod["metadata"]["namespace"]):
            if self.kind.selector(owner).matches(owners.labels_of(pod)):
                self.queue.add(key_of(owner))

    def _wake_when_available(self, key: str, old: Object | None, pod: Object) -> None:
        owner = self._sets.get_key(key)
        wait = (owner or {}).get("spec", {}).get("minReadySeconds") or 0
        if wait and pods.ready(pod) and (old is None or not pods.ready(old)):
            # One second of slack, since times have whole seconds.
            self.queue.add_after(key, wait + 1)

    # The loop

    async def reconcile(self, key: str) -> float | None:
        """Make the number of pods right, then say in the status how it stands."""
        owner = self._sets.get_key(key)
        if owner is None:
            self._expected.forget(key)
            return None
        settled = self._expected.satisfied(key)
        mine = await self._claim(owner)
        alive = [pod for pod in mine if pods.active(pod)]
        terminating = sum(1 for pod in mine if owners.deleting(pod) and not pods.finished(pod))
        problem: Exception | None = None
        if settled and not owners.deleting(owner):
            problem = await self._manage(key, owner, alive)
        latest = self._sets.get_key(key) or owner
        await self._write_status(latest, alive, terminating, problem)
        if problem is not None:
            raise problem
        return self._recheck(owner, alive)

    async def _claim(self, owner: Object) -> list[Object]:
        meta = owner["metadata"]
        candidates = self._pods.by_index(owners.CONTROLLER_INDEX, meta["uid"])
        candidates += [
            pod
            for pod in self._pods.by_index(
                owners.CONTROLLER_INDEX, owners.orphans(meta["namespace"])
            )
            if not pods.finished(pod)
        ]

        async def fresh() -> Object:
            return await self.client.get(self.kind.gvr, meta["name"], meta["namespace"])

        claimer = owners.Claimer(
            self.client,
            owner,
            self.kind.api_version,
            self.kind.kind,
            self.kind.selector(owner),
            fresh,
        )
        return await claimer.claim(PODS, candidates)

    async def _manage(self, key: str, owner: Object, alive: list[Object]) -> Exception | None:
        wanted = owner["spec"].get("replicas", 1)
        missing = wanted - len(alive)
        if missing > 0:
            return await self._create(key, owner, min(missing, BURST))
        if missing < 0:
            return await self._delete(key, owner, alive, min(-missing, BURST))
        return None

    async def _create(self, key: str, owner: Object, count: int) -> Exception | None:
        reference = owners.new_controller_ref(owner, self.kind.api_version, self.kind.kind)
        meta = owner["metadata"]
        template = owner["spec"].get("template") or {}
        self._expected.expect_creations(key, count)

        async def one(_: int) -> None:
            pod = pod_from_template(template, meta["namespace"], reference, meta["name"])
            try:
                await self._pod_control.create(pod, owner)
            except Forbidden as error:
                self._expected.created(key)
                if not namespace_terminating(error):
                    raise
            except StatusError:
                self._expected.created(key)
                raise

        started = 0

        async def counted(number: int) -> None:
            nonlocal started
            started += 1
            await one(number)

        _, problem = await slow_start(count, counted)
        # What was never asked for because an earlier batch failed will not be seen either.
        self._expected.created(key, count - started)
        return problem

    async def _delete(
        self, key: str, owner: Object, alive: list[Object], count: int
    ) -> Exception | None:
        victims = pods.deletion_order(alive, self._related(owner))[:count]
        self._expected.expect_deletions(key, [pod["metadata"]["uid"] for pod in victims])

        async def one(pod: Object) -> None:
            try:
                await self._pod_control.delete(pod, owner)
            except NotFound:
                self._expected.deleted(key, pod["metadata"]["uid"])
            except StatusError:
                self._expected.deleted(key, pod["metadata"]["uid"])
                raise

        return await in_parallel([one(pod) for pod in victims])

    def _related(self, owner: Object) -> list[Object]:
        """Pods of all ReplicaSets of the same Deployment: they share nodes during a rollout."""
        ref = owners.controller_ref(owner)
        siblings = [owner]
        if ref is not None:
            siblings = self._sets.by_index(owners.CONTROLLER_INDEX, ref["uid"])
        found: list[Object] = []
        for sibling in siblings:
            found += self._pods.by_index(owners.CONTROLLER_INDEX, sibling["metadata"]["uid"])
        return found

    async def _write_status(
        self, owner: Object, alive: list[Object], terminating: int, problem: Exception | None
    ) -> None:
        status = calculate(owner, alive, terminating, problem)
        old = owner.get("status") or {}
        if status == old:
            return
        await self.client.update_status(self.kind.gvr, {**owner, "status": status})

    def _recheck(self, owner: Object, alive: list[Object]) -> float | None:
        wait = owner["spec"].get("minReadySeconds") or 0
        if not wait:
            return None
        now = times.parse(times.now())
        pending = [t for pod in alive if (t := pods.available_in(pod, wait, now))]
        return min(pending) + 0.1 if pending else None


class ReplicationControllerController(ReplicaSetController):
    """The same loop for ReplicationControllers."""

    name: ClassVar[str] = "replicationcontroller-controller"
    component: ClassVar[str] = "replication-controller"
    kind: ClassVar[ReplicaKind] = REPLICATION_CONTROLLER

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_rc_syncs
