"""Makes the claims of generic ephemeral volumes, owned by their pods."""

from __future__ import annotations

import copy
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.storage.protection import CLAIMS
from kubeinstall.errors import AlreadyExists, StatusError


class EphemeralVolumeController(QueueController):
    """Keys are `namespace/name` of pods."""

    name: ClassVar[str] = "ephemeral-volume-controller"
    component: ClassVar[str] = "ephemeral_volume"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._pods = self.informer(PODS)
        self._claims = self.informer(CLAIMS)
        self._pods.add_handler(self._pod_changed)
        self._claims.add_handler(self._claim_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and _volumes(new):
            self.queue.add(key_of(new))

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            ref = owners.controller_ref(old)
            if ref is not None and ref["kind"] == "Pod":
                self.queue.add(f"{old['metadata']['namespace']}/{ref['name']}")

    async def reconcile(self, key: str) -> float | None:
        """Make the claims that one pod lacks."""
        pod = self._pods.get_key(key)
        if pod is None or owners.deleting(pod) or pods.finished(pod):
            return None
        for volume in _volumes(pod):
            await self._make(pod, volume)
        return None

    async def _make(self, pod: Object, volume: Object) -> None:
        meta = pod["metadata"]
        name = f"{meta['name']}-{volume['name']}"
        found = self._claims.get(name, meta["namespace"])
        if found is not None:
            ref = owners.controller_ref(found)
            if ref is None or ref["uid"] != meta["uid"]:
                text = f'PVC "{meta["namespace"]}/{name}" was not created for pod'
                self.events.event(pod, "Warning", "FailedBinding", f"ephemeral volume: {text}")
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        given = template.get("metadata") or {}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": dict(given.get("labels") or {}),
                "annotations": dict(given.get("annotations") or {}),
                "ownerReferences": [owners.new_controller_ref(pod, "v1", "Pod")],
            },
            "spec": copy.deepcopy(template["spec"]),
        }
        try:
            await self.client.create(CLAIMS, claim)
        except AlreadyExists:
            raise
        except StatusError as error:
            text = f"ephemeral volume: create PVC {name}: {error.message}"
            self.events.event(pod, "Warning", "FailedCreate", text)
            raise


def _volumes(pod: Object) -> list[Object]:
    return [v for v in (pod.get("spec") or {}).get("volumes") or () if v.get("ephemeral")]
