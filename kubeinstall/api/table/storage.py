"""Rows of storage kinds."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.table.cells import (
    UNSET,
    Cells,
    access_modes,
    age_of,
    at,
    deleting,
    name_of,
    quantity_text,
)
from kubeinstall.api.types import Object

_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def _class(obj: Object) -> str:
    annotations = at(obj, "metadata", "annotations") or {}
    return str(annotations.get(_CLASS) or at(obj, "spec", "storageClassName") or "")


def persistent_volume(obj: Object, now: float) -> Cells:
    """PersistentVolume."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    return [
        name_of(obj),
        quantity_text(at(spec, "capacity", "storage")),
        access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if deleting(obj) else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def persistent_volume_claim(obj: Object, now: float) -> Cells:
    """PersistentVolumeClaim."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = spec.get("volumeName", "")
    return [
        name_of(obj),
        "Terminating" if deleting(obj) else status.get("phase", ""),
        volume,
        quantity_text(at(status, "capacity", "storage")) if volume else "",
        access_modes(status.get("accessModes")) if volume else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def storage_class(obj: Object, now: float) -> Cells:
    """StorageClass."""
    annotations = at(obj, "metadata", "annotations") or {}
    default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    return [
        name_of(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]


def volume_attributes_class(obj: Object, now: float) -> Cells:
    """VolumeAttributesClass."""
    annotations = at(obj, "metadata", "annotations") or {}
    default = annotations.get("volumeattributesclass.kubernetes.io/is-default-class") == "true"
    name = name_of(obj) + (" (default)" if default else "")
    return [name, obj.get("driverName", ""), age_of(obj, now)]


def volume_attachment(obj: Object, now: float) -> Cells:
    """VolumeAttachment."""
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("attacher", ""),
        at(spec, "source", "persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(at(obj, "status", "attached")),
        age_of(obj, now),
    ]


def csi_node(obj: Object, now: float) -> Cells:
    """CSINode."""
    return [name_of(obj), len(at(obj, "spec", "drivers") or ()), age_of(obj, now)]


def csi_driver(obj: Object, now: float) -> Cells:
    """CSIDriver."""
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ())
    required = spec.get("attachRequired")
    return [
        name_of(obj),
        True if required is None else required,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        tokens if spec.get("tokenRequests") else UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age_of(obj, now),
    ]


def csi_storage_capacity(obj: Object, now: float) -> Cells:
    """CSIStorageCapacity."""
    capacity = obj.get("capacity")
    shown = UNSET if capacity is None else quantity_text(capacity)
    return [name_of(obj), obj.get("storageClassName", ""), shown]
