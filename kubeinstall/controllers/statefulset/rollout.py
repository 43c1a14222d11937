"""One pass over a StatefulSet: fill gaps, remove what is too much, roll the template on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods, revisions
from kubeinstall.controllers.common.podcontrol import in_parallel
from kubeinstall.controllers.statefulset import building, facts
from kubeinstall.controllers.statefulset.control import StatefulPodControl


@dataclass(slots=True)
class Rollout:
    """What a pass works on; `replicas` has a pod for each ordinal, those not created yet without UID."""

    stateful_set: Object
    current: Object
    update: Object
    control: StatefulPodControl
    replicas: list[Object] = field(default_factory=list)
    condemned: list[Object] = field(default_factory=list)
    first_unhealthy: Object | None = None
    now: datetime = field(default_factory=lambda: times.parse(times.now()))

    async def step(self, members: list[Object]) -> None:
        """Do as much as the policy allows before something must be waited for."""
        self._sort(members)
        if owners.deleting(self.stateful_set):
            return
        if await self._fill():
            return
        if await self._shrink():
            return
        if facts.strategy(self.stateful_set) == "RollingUpdate":
            await self._roll()

    def _sort(self, members: list[Object]) -> None:
        first = facts.start(self.stateful_set)
        by_ordinal = {facts.ordinal(pod): pod for pod in members}
        self.replicas = [
            by_ordinal.get(number) or self._new_pod(number)
            for number in range(first, first + facts.replicas(self.stateful_set))
        ]
        outside = [n for n in by_ordinal if n >= 0 and not facts.in_range(self.stateful_set, n)]
        self.condemned = [by_ordinal[number] for number in sorted(outside, reverse=True)]
        known = [*self.replicas, *reversed(self.condemned)]
        ill = [pod for pod in known if not facts.healthy(pod)]
        self.first_unhealthy = min(ill, key=facts.ordinal) if ill else None

    def _new_pod(self, number: int) -> Object:
        old = number < facts.start(self.stateful_set) + facts.partition(self.stateful_set)
        keeps = old and facts.strategy(self.stateful_set) == "RollingUpdate"
        revision = self.current if keeps else self.update
        template = revisions.template_of(revision)
        return building.new_pod(self.stateful_set, template, revision["metadata"]["name"], number)

    async def _fill(self) -> bool:
        """Every ordinal has its pod; True when something must be waited for."""
        if not facts.parallel(self.stateful_set):
            for pod in self.replicas:
                if await self._fill_one(pod):
                    return True
            return False
        waiting: list[bool] = []

        async def one(pod: Object) -> None:
            waiting.append(await self._fill_one(pod))

        problem = await in_parallel([one(pod) for pod in self.replicas])
        if problem is not None:
            raise problem
        return any(waiting)

    async def _fill_one(self, pod: Object) -> bool:
        monotonic = not facts.parallel(self.stateful_set)
        if not facts.created(pod):
            await self.control.create(self.stateful_set, pod)
            return monotonic
        if pods.finished(pod):
            # Its successor is made when it is gone.
            if not owners.deleting(pod):
                await self.control.delete(self.stateful_set, pod)
            return True
        if pods.phase(pod) == "Pending":
            await self.control.create_claims(self.stateful_set, pod)
        if monotonic and (
            owners.deleting(pod) or not facts.running_and_available(pod, self._wait(), self.now)
        ):
            return True
        if not owners.deleting(pod):
            await self.control.mend(self.stateful_set, pod)
            await self.control.own_claims(self.stateful_set, pod, condemned=False)
        return False

    def _wait(self) -> int:
        return facts.min_ready(self.stateful_set)

    async def _shrink(self) -> bool:
        """Pods beyond the number wanted go, the highest first; True when one must be waited for."""
        monotonic = not facts.parallel(self.stateful_set)
        for pod in self.condemned:
            await self.control.own_claims(self.stateful_set, pod, condemned=True)
        for pod in self.condemned:
            if owners.deleting(pod):
                if monotonic:
                    return True
                continue
            ill = not facts.running_and_available(pod, self._wait(), self.now)
            if ill and monotonic and pod is not self.first_unhealthy:
                return True
            await self.control.delete(self.stateful_set, pod)
            if monotonic:
                return True
        return False

    async def _roll(self) -> None:
        """Replace pods of the old template from the highest ordinal down to the partition."""
        budget = facts.max_unavailable(self.stateful_set)
        wanted = self.update["metadata"]["name"]
        for pod in reversed(self.replicas[facts.partition(self.stateful_set) :]):
            if facts.revision_of(pod) != wanted and not owners.deleting(pod):
                await self.control.delete(self.stateful_set, pod)
                budget -= 1
            elif owners.deleting(pod) or not facts.running_and_available(
                pod, self._wait(), self.now
            ):
                budget -= 1
            if budget <= 0:
                return


def status(rollout: Rollout, members: list[Object], collisions: int) -> Object:
    """`.status` after a pass."""
    stateful_set = rollout.stateful_set
    wait = facts.min_ready(stateful_set)
    current, update = rollout.current["metadata"]["name"], rollout.update["metadata"]["name"]
    staying = [p for p in members if not owners.deleting(p)]
    ready = [p for p in members if facts.running_and_ready(p)]
    counts = {
        "replicas": len(members),
        "readyReplicas": len(ready),
        "availableReplicas": sum(
            1 for p in ready if facts.running_and_available(p, wait, rollout.now)
        ),
        "currentReplicas": sum(1 for p in staying if facts.revision_of(p) == current),
        "updatedReplicas": sum(1 for p in staying if facts.revision_of(p) == update),
    }
    all_new = counts["updatedReplicas"] == counts["replicas"] == counts["readyReplicas"]
    if (
        facts.strategy(stateful_set) == "RollingUpdate"
        and all_new
        and counts["updatedReplicas"] == facts.replicas(stateful_set)
    ):
        current = update
        counts["currentReplicas"] = counts["updatedReplicas"]
    made: Object = {
        "observedGeneration": stateful_set["metadata"].get("generation") or 0,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": collisions,
    }
    always = {"replicas", "availableReplicas"}
    made |= {name: count for name, count in counts.items() if count or name in always}
    old = stateful_set.get("status") or {}
    if old.get("conditions"):
        made["conditions"] = old["conditions"]
    return made
