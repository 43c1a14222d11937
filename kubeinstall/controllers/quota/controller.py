"""The loop of upstream's resourcequota controller."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.client import Informer, InformerSet, key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.discovery import Found, discover
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.gc.controller import slim
from kubeinstall.controllers.quota.usage import EVALUATORS, Usage, add, pod_in_scopes
from kubeinstall.errors import StatusError

QUOTAS = "v1/resourcequotas"
#: Names of old that mean a count of core objects.
_COUNTED = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas")
_POD_GVR = "v1/pods"
#: Deletions come in bursts: count once for many.
SETTLE_SECONDS = 0.1
#: An object that was admitted so long ago is stored, or never will be. API servers, which know what they
#: admitted themselves, give back sooner.
PENDING_SECONDS = 5.0


class ResourceQuotaController(QueueController):
    """Keys are `namespace/name` of quotas."""

    name: ClassVar[str] = "resourcequota-controller"
    component: ClassVar[str] = "resourcequota-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_resource_quota_syncs
        self._set: InformerSet = context.informers
        self._counted: dict[str, Informer] = {}
        self._lock = asyncio.Lock()
        self._raised: dict[str, float] = {}  # quota → when its usage rose last
        self._quotas = self.informer(QUOTAS)
        self._quotas.add_handler(self._quota_changed)
        for gvr in EVALUATORS:
            self._follow(gvr, self.informer(gvr))

    def _quota_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._raised.pop(key_of(old or {}), None)
        elif old is not None and _rose(old, new):
            self._raised[key_of(new)] = time.monotonic()
        # Our own and admission's writes of the status need no recount.
        if new is not None and (old is None or old["spec"] != new["spec"]):
            self.queue.add(key_of(new))

    def _follow(self, gvr: str, informer: Informer) -> None:
        self._counted[gvr] = informer
        informer.add_handler(partial(self._object_changed, gvr))

    def _object_changed(self, gvr: str, old: Object | None, new: Object | None) -> None:
        """Admission has counted what was created; what went or shrank is ours to give back."""
        if old is None or (new is not None and not _shrank(gvr, old, new)):
            return
        for quota in self._quotas.list(old["metadata"].get("namespace") or "-"):
            self.queue.add_after(key_of(quota), SETTLE_SECONDS)

    async def reconcile(self, key: str) -> float | None:
        """Recount one quota."""
        quota = self._quotas.get_key(key)
        if quota is None or owners.deleting(quota):
            return None
        # What admission has counted may not be stored yet: a count from now would take it off again.
        wait = self._raised.get(key, 0.0) + PENDING_SECONDS - time.monotonic()
        if wait > 0 and (quota.get("status") or {}).get("used"):
            return wait
        hard = quota["spec"].get("hard") or {}
        used = await self._used(quota, hard)
        status = {"hard": dict(hard), "used": used}
        if status != (quota.get("status") or {}):
            await self.client.update_status(QUOTAS, {**quota, "status": status})
        return self.settings.resource_quota_sync_period

    async def _used(self, quota: Object, hard: dict[str, str]) -> dict[str, str]:
        namespace = quota["metadata"]["namespace"]
        total: Usage = {}
        scoped = bool(quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"))
        for gvr, evaluate in EVALUATORS.items():
            if scoped and gvr != _POD_GVR:
                continue
            for obj in self._counted[gvr].list(namespace):
                if gvr != _POD_GVR or pod_in_scopes(quota, obj):
                    add(total, evaluate(obj))
        if not scoped:
            await self._count_others(namespace, hard, total)
        return {name: str(total.get(name, Quantity.of(0))) for name in hard}

    async def _count_others(self, namespace: str, hard: dict[str, str], total: Usage) -> None:
        for name in hard:
            plural = name.removeprefix("count/")
            if name in total or (plural == name and name not in _COUNTED):
                continue
            informer = await self._counter(plural)
            if informer is not None:
                total[name] = Quantity.of(len(informer.list(namespace)))

    async def _counter(self, qualified: str) -> Informer | None:
        """The informer of `plural` or `plural.group`, started when first asked for."""
        async with self._lock:
            found = await self._find(qualified)
            if found is None:
                return None
            if found.gvr not in self._counted:
                informer = self._set.existing(found.gvr) or self._set.informer(
                    found.gvr, metadata_only=True, transform=slim
                )
                await informer.wait_synced()
                self._follow(found.gvr, informer)
        return self._counted[found.gvr]

    async def _find(self, qualified: str) -> Found | None:
        plural, _, group = qualified.partition(".")
        try:
            known = (await discover(self.client)).preferred("list", "watch")
        except StatusError as error:
            self.log.debug("discovery failed", error=str(error))
            return None
        return next((r for r in known if (r.plural, r.group) == (plural, group)), None)


def _rose(old: Object, new: Object) -> bool:
    before = (old.get("status") or {}).get("used") or {}
    after = (new.get("status") or {}).get("used") or {}
    return any(
        name in before and Quantity.parse(value) > Quantity.parse(before[name])
        for name, value in after.items()
    )


def _shrank(gvr: str, old: Object, new: Object) -> bool:
    if gvr == _POD_GVR:
        return pods.finished(old) != pods.finished(new) or (
            old["spec"].get("containers") != new["spec"].get("containers")
        )
    return gvr in EVALUATORS and old["spec"] != new["spec"]
