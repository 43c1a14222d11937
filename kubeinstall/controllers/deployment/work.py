"""One pass over one Deployment: what the steps of a rollout act on and through."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder
from kubeinstall.controllers.deployment import facts

DEPLOYMENTS = "apps/v1/deployments"
REPLICA_SETS = "apps/v1/replicasets"


@dataclass(slots=True)
class Work:
    """The Deployment as last read or written, its ReplicaSets, and the way to change them."""

    client: ApiClient
    events: EventRecorder
    deployment: Object
    sets: list[Object]

    async def write_status(self, status: Object) -> None:
        """Write the status and keep the answer."""
        self.deployment = await self.client.update_status(
            DEPLOYMENTS, {**self.deployment, "status": status}
        )

    async def write_revision(self, revision: str) -> None:
        """Write the revision annotation when it is another."""
        if facts.notes(self.deployment).get(facts.REVISION) == revision:
            return
        meta = self.deployment["metadata"]
        notes = {**(meta.get("annotations") or {}), facts.REVISION: revision}
        # An update, as upstream's: the controller's role has no right to patch Deployments.
        self.deployment = await self.client.update(
            DEPLOYMENTS, {**self.deployment, "metadata": {**meta, "annotations": notes}}
        )

    async def scale(self, rs: Object, size: int) -> Object:
        """Ask a ReplicaSet for `size` pods, with an event; returns it as it is now."""
        before = facts.replicas(rs)
        if before == size:
            return rs
        changed = await self._resize(rs, size)
        direction = "up" if size > before else "down"
        name = rs["metadata"]["name"]
        self.events.event(
            self.deployment,
            "Normal",
            "ScalingReplicaSet",
            f"Scaled {direction} replica set {name} from {before} to {size}",
        )
        return changed

    async def resize_or_annotate(self, rs: Object, size: int) -> Object:
        """`scale`, which also writes the annotations when only they are stale."""
        if facts.replicas(rs) != size:
            return await self.scale(rs, size)
        if self._annotations().items() <= facts.notes(rs).items():
            return rs
        return await self._resize(rs, size)

    async def _resize(self, rs: Object, size: int) -> Object:
        meta = {
            **rs["metadata"],
            "annotations": {**facts.notes(rs), **self._annotations()},
        }
        changed = {**rs, "metadata": meta, "spec": {**rs["spec"], "replicas": size}}
        answer = await self.client.update(REPLICA_SETS, changed)
        self.replace(answer)
        return answer

    def _annotations(self) -> dict[str, str]:
        wanted = facts.replicas(self.deployment)
        return {
            facts.DESIRED: str(wanted),
            facts.MAXIMUM: str(wanted + facts.max_surge(self.deployment)),
        }

    def replace(self, rs: Object) -> None:
        """Take a newer state of one of the ReplicaSets, or a new one."""
        uid = rs["metadata"]["uid"]
        self.sets = [*(s for s in self.sets if s["metadata"]["uid"] != uid), rs]

    def new_set(self) -> Object | None:
        """The ReplicaSet of the current template."""
        return facts.find_new(self.deployment, self.sets)

    def old_sets(self) -> list[Object]:
        """All others."""
        new = self.new_set()
        uid = new["metadata"]["uid"] if new is not None else None
        return [rs for rs in self.sets if rs["metadata"]["uid"] != uid]
