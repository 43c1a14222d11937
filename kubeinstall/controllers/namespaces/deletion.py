"""Namespaces that are being deleted: emptied, reported on, finalized."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.common.discovery import discover
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.namespaces import conditions
from kubeinstall.controllers.namespaces.content import empty
from kubeinstall.errors import Conflict, NotFound

NAMESPACES = "v1/namespaces"
FINALIZER = "kubernetes"
#: API servers learn of the deletion from their caches; give them a moment before the first pass, so
#: that what they still let in is seen.
GRACE_SECONDS = 0.25


class NamespaceController(QueueController):
    """Keys are names of namespaces."""

    name: ClassVar[str] = "namespace-controller"
    component: ClassVar[str] = "namespace-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_namespace_syncs
        self._namespaces = self.informer(NAMESPACES)
        self._pods = self.informer(PODS)
        self._namespaces.add_handler(self._changed)
        self._pods.add_handler(self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or not owners.deleting(new):
            return
        if old is None or not owners.deleting(old):
            self.queue.add_after(key_of(new), GRACE_SECONDS)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """The last pod is gone: what waited for it can go too."""
        if new is not None or old is None:
            return
        namespace = old["metadata"]["namespace"]
        found = self._namespaces.get(namespace)
        if found is not None and owners.deleting(found):
            self.queue.add_after(namespace, 0.01)

    async def reconcile(self, key: str) -> float | None:
        """One pass over one namespace; again later while something is left."""
        try:
            namespace = await self.client.get(NAMESPACES, key)
        except NotFound:
            return None
        if not owners.deleting(namespace):
            return None
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        remains = await empty(self.client, key, await discover(self.client))
        namespace = await self._write_status(
            namespace, conditions.update(namespace.get("status") or {}, remains)
        )
        if not remains.nothing():
            # As upstream: half of what a dying pod has left, and a second. Failures are retried soon.
            return remains.wait / 2 + 1
        await self._finalize(namespace)
        return None

    async def _write_status(self, namespace: Object, status: Object) -> Object:
        for _ in range(3):
            if status == namespace.get("status"):
                return namespace
            try:
                return await self.client.update_status(NAMESPACES, {**namespace, "status": status})
            except Conflict:
                namespace = await self.client.get(NAMESPACES, namespace["metadata"]["name"])
        return namespace

    async def _finalize(self, namespace: Object) -> None:
        kept = [f for f in namespace["spec"].get("finalizers") or () if f != FINALIZER]
        body = {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
        await self.client.update(NAMESPACES, body, "finalize")
