"""Keeps claims that pods use, volumes that claims use, and attribute classes that either names: takes
their finalizer off only when free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController

CLAIMS = "v1/persistentvolumeclaims"
VOLUMES = "v1/persistentvolumes"
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
CLASSES = "storage.k8s.io/v1/volumeattributesclasses"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"
_CLAIM_INDEX = "claim"
_CLASS_INDEX = "class"


def claims_of(pod: Object) -> Iterable[str]:
    """Indexer: `namespace/name` of the claims that a pod mounts, generated ones too."""
    meta = pod["metadata"]
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield f"{meta['namespace']}/{volume['persistentVolumeClaim']['claimName']}"
        elif volume.get("ephemeral"):
            yield f"{meta['namespace']}/{meta['name']}-{volume['name']}"


def classes_of(obj: Object) -> Iterable[str]:
    """Indexer: the attribute classes that a claim or a volume names, has, or is changing to."""
    status = obj.get("status") or {}
    names = {
        (obj.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return [name for name in names if name]


class PVCProtectionController(QueueController):
    """Keys are `namespace/name` of claims."""

    name: ClassVar[str] = "persistentvolumeclaim-protection-controller"
    component: ClassVar[str] = "pvc-protection-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._claims = self.informer(CLAIMS)
        self._pods = self.informer(PODS, {_CLAIM_INDEX: claims_of})
        self._claims.add_handler(self._claim_changed)
        self._pods.add_handler(self._pod_changed)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or pods.finished(new)):
            for key in claims_of(old):
                self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        """Put the finalizer on, or take it off a claim that is going and free."""
        claim = self._claims.get_key(key)
        if claim is None:
            return None
        users = [p for p in self._pods.by_index(_CLAIM_INDEX, key) if not pods.finished(p)]
        await _protect(self, CLAIMS, claim, CLAIM_FINALIZER, used=bool(users))
        return None


class PVProtectionController(QueueController):
    """Keys are names of volumes."""

    name: ClassVar[str] = "persistentvolume-protection-controller"
    component: ClassVar[str] = "pv-protection-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._volumes = self.informer(VOLUMES)
        self._volumes.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Put the finalizer on, or take it off a volume that is going and not bound."""
        volume = self._volumes.get_key(key)
        if volume is None:
            return None
        bound = (volume.get("status") or {}).get("phase") == "Bound"
        await _protect(self, VOLUMES, volume, VOLUME_FINALIZER, used=bound)
        return None


class VolumeAttributesClassProtectionController(QueueController):
    """Keys are names of classes."""

    name: ClassVar[str] = "volumeattributesclass-protection-controller"
    component: ClassVar[str] = "volumeattributesclass-protection-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._classes = self.informer(CLASSES)
        self._users = [self.informer(gvr, {_CLASS_INDEX: classes_of}) for gvr in (CLAIMS, VOLUMES)]
        self._classes.add_handler(self._changed)
        for users in self._users:
            users.add_handler(self._user_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _user_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            left = set(classes_of(old)) - set(classes_of(new) if new is not None else ())
            for name in left:
                self.queue.add(name)

    async def reconcile(self, key: str) -> float | None:
        """Put the finalizer on, or take it off a class that is going and that nothing names."""
        found = self._classes.get_key(key)
        if found is None:
            return None
        used = any(users.by_index(_CLASS_INDEX, key) for users in self._users)
        await _protect(self, CLASSES, found, CLASS_FINALIZER, used=used)
        return None


async def _protect(
    controller: QueueController, gvr: str, obj: Object, finalizer: str, *, used: bool
) -> None:
    meta = obj["metadata"]
    present = finalizer in (meta.get("finalizers") or ())
    if owners.deleting(obj):
        if not present or used:
            return
        kept = [name for name in meta["finalizers"] if name != finalizer]
    elif present:
        return
    else:
        kept = [*(meta.get("finalizers") or ()), finalizer]
    await controller.client.update(gvr, {**obj, "metadata": {**meta, "finalizers": kept}})
