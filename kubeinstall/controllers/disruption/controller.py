"""The loop of upstream's disruption controller."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import conditions, owners, pods
from kubeinstall.controllers.common.intstr import scaled
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import KubeinstallError, NotFound

BUDGETS = "policy/v1/poddisruptionbudgets"
#: An eviction that was granted and did not happen within this time is taken back.
DISRUPTION_SECONDS = 120.0
#: Owner kinds to where their scale is; a ReplicaSet counts as its Deployment.
_SCALES = {
    ("apps", "Deployment"): "apps/v1/deployments",
    ("apps", "StatefulSet"): "apps/v1/statefulsets",
    ("apps", "ReplicaSet"): "apps/v1/replicasets",
    ("", "ReplicationController"): "v1/replicationcontrollers",
}


class UnknownScale(KubeinstallError):
    """A pod's controller does not say how many pods it wants."""


class DisruptionController(QueueController):
    """Keys are `namespace/name` of budgets."""

    name: ClassVar[str] = "disruption-controller"
    component: ClassVar[str] = "controllermanager"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._budgets = self.informer(BUDGETS)
        self._pods = self.informer(PODS)
        self._scales = {gvr: self.informer(gvr) for gvr in _SCALES.values()}
        self._budgets.add_handler(self._budget_changed)
        self._pods.add_handler(self._pod_changed)
        for informer in self._scales.values():
            informer.add_handler(self._scale_changed)

    def _budget_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _relevant(old) == _relevant(new):
            return
        for budget in self._budgets.list((new or old or {})["metadata"]["namespace"]):
            selector = _selector(budget)
            if any(selector.matches(owners.labels_of(p)) for p in (old, new) if p is not None):
                self.queue.add(key_of(budget))

    def _scale_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None:
            return
        if old["spec"].get("replicas") != new["spec"].get("replicas"):
            for budget in self._budgets.list(new["metadata"]["namespace"]):
                self.queue.add(key_of(budget))

    async def reconcile(self, key: str) -> float | None:
        """Recount one budget."""
        budget = self._budgets.get_key(key)
        if budget is None:
            return None
        selector = _selector(budget)
        mine = [
            pod
            for pod in self._pods.list(budget["metadata"]["namespace"])
            if selector.matches(owners.labels_of(pod)) and not pods.finished(pod)
        ]
        try:
            expected, desired = self._expected(budget, mine)
        except UnknownScale as error:
            await self._sync_failed(budget, str(error))
            return None
        disrupted, again = _still_disrupted(budget, mine)
        healthy = sum(
            1
            for pod in mine
            if pods.ready(pod)
            and not owners.deleting(pod)
            and pod["metadata"]["name"] not in disrupted
        )
        await self._write(budget, healthy, desired, expected, disrupted)
        return again

    def _expected(self, budget: Object, mine: list[Object]) -> tuple[int, int]:
        """(pods that there should be, pods that must stay healthy)."""
        spec = budget["spec"]
        least = spec.get("minAvailable")
        if spec.get("maxUnavailable") is not None:
            expected = self._scale_of(mine)
            most = scaled(spec["maxUnavailable"], expected, round_up=True)
            return expected, max(0, expected - most)
        if isinstance(least, str):
            expected = self._scale_of(mine)
            return expected, scaled(least, expected, round_up=True)
        return len(mine), int(least if least is not None else 1)

    def _scale_of(self, mine: list[Object]) -> int:
        """The replicas that the pods' controllers want together."""
        wanted: dict[str, int] = {}
        for pod in mine:
            ref = owners.controller_ref(pod)
            if ref is None:
                name = pod["metadata"]["name"]
                raise UnknownScale(f'found no controller ref for pod "{name}"')
            uid, replicas = self._replicas(ref, pod["metadata"]["namespace"])
            wanted[uid] = replicas
        return sum(wanted.values())

    def _replicas(self, ref: Object, namespace: str) -> tuple[str, int]:
        group = str(ref["apiVersion"]).rpartition("/")[0]
        gvr = _SCALES.get((group, ref["kind"]))
        found = self._scales[gvr].get(ref["name"], namespace) if gvr is not None else None
        if found is None or found["metadata"]["uid"] != ref["uid"]:
            raise UnknownScale(
                f"found no controllers for pod: {ref['kind']}.{group} {ref['name']} has no scale"
            )
        above = owners.controller_ref(found)
        if ref["kind"] == "ReplicaSet" and above is not None and above["kind"] == "Deployment":
            return self._replicas(above, namespace)
        return ref["uid"], int(found["spec"].get("replicas", 1))

    async def _write(
        self,
        budget: Object,
        healthy: int,
        desired: int,
        expected: int,
        disrupted: dict[str, str],
    ) -> None:
        allowed = max(0, healthy - desired) if expected > 0 else 0
        old = budget.get("status") or {}
        enough = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
        condition = conditions.make("DisruptionAllowed", *enough, "")
        condition["message"] = ""
        condition["observedGeneration"] = budget["metadata"].get("generation") or 0
        listed = _set(list(old.get("conditions") or []), condition)
        status: Object = {
            "observedGeneration": budget["metadata"].get("generation") or 0,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": listed,
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        await self._update(budget, status)

    async def _sync_failed(self, budget: Object, message: str) -> None:
        self.events.event(
            budget,
            "Warning",
            "CalculateExpectedPodCountFailed",
            f"Failed to calculate the number of expected pods: {message}",
        )
        old = budget.get("status") or {}
        condition = conditions.make("DisruptionAllowed", "False", "SyncFailed", message)
        condition["observedGeneration"] = budget["metadata"].get("generation") or 0
        listed = _set(list(old.get("conditions") or []), condition)
        blank = {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
        # Fail safe: what cannot be counted allows nothing.
        await self._update(budget, {**blank, **old, "disruptionsAllowed": 0, "conditions": listed})

    async def _update(self, budget: Object, status: Object) -> None:
        if status == (budget.get("status") or {}):
            return
        try:
            await self.client.update_status(BUDGETS, {**budget, "status": status})
        except NotFound:
            return


def _set(listed: list[Object], new: Object) -> list[Object]:
    current = conditions.find(listed, new["type"])
    if current is None:
        return [*listed, new]
    if current["status"] == new["status"]:
        new["lastTransitionTime"] = current["lastTransitionTime"]
    return [new if c is current else c for c in listed]


def _selector(budget: Object) -> LabelSelector:
    return LabelSelector.from_object(budget["spec"].get("selector") or {})


def _still_disrupted(budget: Object, mine: list[Object]) -> tuple[dict[str, str], float | None]:
    """(evictions under way by pod name, seconds until one must be taken back)."""
    granted = (budget.get("status") or {}).get("disruptedPods") or {}
    present = {p["metadata"]["name"]: p for p in mine}
    now = times.parse(times.now_micro()).timestamp()
    kept: dict[str, str] = {}
    waits: list[float] = []
    for name, since in granted.items():
        pod = present.get(name)
        if pod is None or owners.deleting(pod):
            continue
        left = times.unix(since) + DISRUPTION_SECONDS - now
        if left > 0:
            kept[name] = since
            waits.append(left)
    return kept, min(waits) + 0.1 if waits else None


def _relevant(pod: Object) -> tuple[object, ...]:
    return owners.labels_of(pod), pods.ready(pod), owners.deleting(pod), pods.finished(pod)
