"""Binds claims to volumes that fit, releases and reclaims volumes.

Volumes are made by provisioners outside; this controller asks them by annotation, as upstream does.
"""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.storage.protection import CLAIMS, VOLUMES
from kubeinstall.errors import NotFound

CLASSES = "storage.k8s.io/v1/storageclasses"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


class PersistentVolumeBinder(QueueController):
    """Keys are `claim:namespace/name` and `volume:name`."""

    name: ClassVar[str] = "persistentvolume-binder-controller"
    component: ClassVar[str] = "persistentvolume-controller"
    #: One: two claims must not be given the same volume.
    workers = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._claims = self.informer(CLAIMS)
        self._volumes = self.informer(VOLUMES)
        self._classes = self.informer(CLASSES)
        self._claims.add_handler(self._claim_changed)
        self._volumes.add_handler(self._volume_changed)
        self._classes.add_handler(self._class_changed)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        claim = new or old or {}
        if new is not None:
            self.queue.add(f"claim:{key_of(new)}")
        if claim["spec"].get("volumeName"):
            self.queue.add(f"volume:{claim['spec']['volumeName']}")

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        volume = new or old or {}
        ref = volume["spec"].get("claimRef")
        if new is not None:
            self.queue.add(f"volume:{key_of(new)}")
        if ref:
            self.queue.add(f"claim:{ref['namespace']}/{ref['name']}")
        elif new is not None:
            self._class_changed(None, None)

    def _class_changed(self, old: Object | None, new: Object | None) -> None:
        for claim in self._claims.list():
            if not claim["spec"].get("volumeName"):
                self.queue.add(f"claim:{key_of(claim)}")

    async def reconcile(self, key: str) -> float | None:
        """Look at one claim or one volume."""
        kind, _, name = key.partition(":")
        if kind == "claim":
            claim = self._claims.get_key(name)
            if claim is not None:
                await self._sync_claim(claim)
        else:
            volume = self._volumes.get_key(name)
            if volume is not None:
                await self._sync_volume(volume)
        return None

    async def _sync_claim(self, claim: Object) -> None:
        bound_to = claim["spec"].get("volumeName")
        if _notes(claim).get(BIND_COMPLETED):
            volume = self._volumes.get(bound_to) if bound_to else None
            ours = volume is not None and _refers(volume, claim)
            if volume is None or not ours:
                await self._write_phase(CLAIMS, claim, "Lost")
            else:
                await self._finish(claim, volume)
            return
        if owners.deleting(claim):
            return
        if bound_to:
            await self._bind_named(claim, bound_to)
            return
        chosen = self._choose(claim)
        if chosen is not None:
            await self._bind(claim, chosen)
        else:
            await self._wait(claim)

    async def _bind_named(self, claim: Object, name: str) -> None:
        volume = self._volumes.get(name)
        ref = volume["spec"].get("claimRef") if volume is not None else None
        if volume is None or (ref and not _refers(volume, claim)):
            await self._write_phase(CLAIMS, claim, "Pending")
        else:
            await self._bind(claim, volume)

    def _choose(self, claim: Object) -> Object | None:
        """The volume that was made for the claim, else the smallest that fits."""
        fitting = []
        for volume in self._volumes.list():
            if owners.deleting(volume):
                continue
            if volume["spec"].get("claimRef"):
                if _refers(volume, claim):
                    return volume
                continue
            if _fits(volume, claim) and not self._delayed(claim):
                fitting.append(volume)
        return min(fitting, key=_capacity) if fitting else None

    def _delayed(self, claim: Object) -> bool:
        """The claim waits for its first pod: the scheduler chooses the volume with the node."""
        found = self._classes.get(_class_of(claim)) if _class_of(claim) else None
        mode = (found or {}).get("volumeBindingMode")
        return mode == "WaitForFirstConsumer" and SELECTED_NODE not in _notes(claim)

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Volume first, then claim: a crash in between is completed from the volume's claimRef."""
        meta = claim["metadata"]
        ref = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        }
        current = volume["spec"].get("claimRef") or {}
        if current.get("uid") != meta["uid"]:
            notes = dict(_notes(volume))
            if not current:
                notes[BOUND_BY_CONTROLLER] = "yes"
            changed = {
                **volume,
                "metadata": {**volume["metadata"], "annotations": notes},
                "spec": {**volume["spec"], "claimRef": ref},
            }
            volume = await self.client.update(VOLUMES, changed)
        await self._finish(claim, volume)

    async def _finish(self, claim: Object, volume: Object) -> None:
        if (volume.get("status") or {}).get("phase") != "Bound":
            await self._write_phase(VOLUMES, volume, "Bound")
        notes = dict(_notes(claim))
        by_us = not claim["spec"].get("volumeName")
        if BIND_COMPLETED not in notes or by_us:
            notes[BIND_COMPLETED] = "yes"
            if by_us:
                notes[BOUND_BY_CONTROLLER] = "yes"
            changed = {
                **claim,
                "metadata": {**claim["metadata"], "annotations": notes},
                "spec": {**claim["spec"], "volumeName": volume["metadata"]["name"]},
            }
            claim = await self.client.update(CLAIMS, changed)
        status = {
            **(claim.get("status") or {}),
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes") or [],
            "capacity": volume["spec"].get("capacity") or {},
        }
        if status != claim.get("status"):
            await self.client.update_status(CLAIMS, {**claim, "status": status})

    async def _wait(self, claim: Object) -> None:
        """Nothing fits: ask for a volume, or say what is waited for."""
        await self._write_phase(CLAIMS, claim, "Pending")
        name = _class_of(claim)
        found = self._classes.get(name) if name else None
        if found is None:
            text = "no persistent volumes available for this claim and no storage class is set"
            if name:
                text = f'storageclass.storage.k8s.io "{name}" not found'
                self.events.event(claim, "Warning", "ProvisioningFailed", text)
            else:
                self.events.event(claim, "Normal", "FailedBinding", text)
            return
        if self._delayed(claim):
            text = "waiting for first consumer to be created before binding"
            self.events.event(claim, "Normal", "WaitForFirstConsumer", text)
            return
        provisioner = found["provisioner"]
        if provisioner == _NO_PROVISIONER or _notes(claim).get(PROVISIONER) == provisioner:
            return
        notes = {**_notes(claim), PROVISIONER: provisioner, BETA_PROVISIONER: provisioner}
        await self.client.patch(
            CLAIMS,
            claim["metadata"]["name"],
            {"metadata": {"annotations": notes}},
            claim["metadata"]["namespace"],
        )
        text = (
            f"Waiting for a volume to be created either by the external provisioner"
            f" '{provisioner}' or manually by the system administrator. If volume creation is"
            " delayed, please verify that the provisioner is running and correctly registered."
        )
        self.events.event(claim, "Normal", "ExternalProvisioning", text)

    async def _sync_volume(self, volume: Object) -> None:
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            await self._write_phase(VOLUMES, volume, "Available")
            return
        claim = self._claims.get(ref["name"], ref["namespace"])
        if claim is not None and claim["metadata"]["uid"] == ref["uid"]:
            return
        try:
            # The cache may be behind: releasing loses data, so ask.
            claim = await self.client.get(CLAIMS, ref["name"], ref["namespace"])
        except NotFound:
            claim = None
        if claim is not None and claim["metadata"]["uid"] == ref["uid"]:
            return
        await self._write_phase(VOLUMES, volume, "Released")
        # Delete is the provisioner's work, when there is one; Retain is the administrator's.

    async def _write_phase(self, gvr: str, obj: Object, phase: str) -> None:
        status = obj.get("status") or {}
        if status.get("phase") != phase:
            await self.client.update_status(gvr, {**obj, "status": {**status, "phase": phase}})


def _notes(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _refers(volume: Object, claim: Object) -> bool:
    """The volume's claimRef means this claim: by name, and by UID once it has one."""
    ref = volume["spec"].get("claimRef") or {}
    meta = claim["metadata"]
    named = (ref.get("namespace"), ref.get("name")) == (meta["namespace"], meta["name"])
    return named and ref.get("uid") in {None, "", meta["uid"]}


def _class_of(obj: Object) -> str:
    return _notes(obj).get(BETA_CLASS) or obj["spec"].get("storageClassName") or ""


def _capacity(volume: Object) -> int:
    return Quantity.parse((volume["spec"].get("capacity") or {}).get("storage") or "0").value


def _fits(volume: Object, claim: Object) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    requests = (wanted.get("resources") or {}).get("requests") or {}
    needed = Quantity.parse(requests.get("storage") or "0").value
    selector = wanted.get("selector")
    return (
        (volume.get("status") or {}).get("phase") in {None, "", "Pending", "Available"}
        and _class_of(volume) == _class_of(claim)
        and (spec.get("volumeMode") or "Filesystem") == (wanted.get("volumeMode") or "Filesystem")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and _capacity(volume) >= needed
        and (
            selector is None
            or LabelSelector.from_object(selector).matches(owners.labels_of(volume))
        )
    )
