"""PersistentVolumes and PersistentVolumeClaims."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_label, dns1123_subdomain
from kubeinstall.api.validation.labels import check_label_selector
from kubeinstall.api.validation.pod.resources import check_quantity, check_resource_name
from kubeinstall.api.validation.pod.scheduling import check_node_selector
from kubeinstall.api.validation.pod.security import check_no_backsteps
from kubeinstall.api.validation.pod.volumes import (
    check_driver_name,
    check_host_path,
    check_iscsi,
    check_nfs,
)

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_RECLAIM = ("Delete", "Recycle", "Retain")
_VOLUME_MODES = ("Block", "Filesystem")
_PV_SOURCES: dict[str, Callable[[Errors, Any, str], None]] = {}
_NOT_SOURCES = frozenset(
    {
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    }
)


def check_claim(errors: Errors, claim: Object) -> None:
    """A PersistentVolumeClaim."""
    check_claim_spec(errors, claim.get("spec") or {}, "spec")


def check_claim_spec(errors: Errors, spec: Object, path: str) -> None:
    """`spec` of a claim or of a claim template."""
    modes = spec.get("accessModes") or []
    if not modes:
        errors.required(f"{path}.accessModes", "at least 1 access mode is required")
    check_label_selector(errors, spec.get("selector"), f"{path}.selector")
    _check_modes(errors, modes, f"{path}.accessModes")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    at = f"{path}.resources[storage]"
    if storage is None:
        errors.required(at)
    elif Quantity.parse(storage) <= Quantity():
        errors.invalid(at, str(Quantity.parse(storage)), "must be greater than zero")
    else:
        check_resource_name(errors, "storage", at)
    name = spec.get("storageClassName")
    if name:
        errors.each(f"{path}.storageClassName", name, dns1123_subdomain(name))
    mode = spec.get("volumeMode")
    if mode is not None:
        errors.one_of(f"{path}.volumeMode", mode, _VOLUME_MODES)
    _check_data_source(errors, spec, path)


def _check_modes(errors: Errors, modes: list[str], path: str) -> None:
    for mode in modes:
        if mode not in ACCESS_MODES:
            errors.not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def _check_data_source(errors: Errors, spec: Object, path: str) -> None:
    for field in ("dataSource", "dataSourceRef"):
        source = spec.get(field)
        if source is None:
            continue
        for key in ("name", "kind"):
            if not source.get(key):
                errors.required(f"{path}.{field}.{key}")
        if not source.get("apiGroup") and source.get("kind") != "PersistentVolumeClaim":
            message = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            errors.invalid(f"{path}.{field}", source.get("kind", ""), message)
    first, second = spec.get("dataSource"), spec.get("dataSourceRef")
    if first is None or second is None or second.get("namespace"):
        return
    if any(first.get(key) != second.get(key) for key in ("kind", "name")):
        errors.invalid(path, spec, "must match dataSourceRef")


def check_claim_update(errors: Errors, new: Object, old: Object) -> None:
    """A claim's spec is fixed but for its size, its volume (once) and its attributes class."""
    check_claim(errors, new)
    now, before = copy.deepcopy(new.get("spec") or {}), copy.deepcopy(old.get("spec") or {})
    if not before.get("volumeName") and now.get("volumeName"):
        before["volumeName"] = now["volumeName"]
    if before.get("storageClassName") is None and now.get("storageClassName") is not None:
        before["storageClassName"] = now["storageClassName"]
    bound = (old.get("status") or {}).get("phase") == "Bound"
    _check_size(errors, now, before, old, bound=bound)
    if now.get("volumeAttributesClassName") is not None:
        before["volumeAttributesClassName"] = now["volumeAttributesClassName"]
    if now != before:
        errors.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
            "claims\n",
        )


def _check_size(errors: Errors, now: Object, before: Object, old: Object, *, bound: bool) -> None:
    size = ((now.get("resources") or {}).get("requests") or {}).get("storage")
    former = ((before.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None or former is None or size == former or not bound:
        return
    capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", former)
    if Quantity.parse(size) < Quantity.parse(former) and Quantity.parse(size) <= Quantity.parse(
        capacity
    ):
        message = "field can not be less than status.capacity"
        errors.forbidden("spec.resources.requests.storage", message)
    before["resources"]["requests"]["storage"] = size


def check_volume(errors: Errors, volume: Object) -> None:
    """A PersistentVolume."""
    spec = volume.get("spec") or {}
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    if not modes:
        errors.required("spec.accessModes")
    _check_modes(errors, modes, "spec.accessModes")
    if not capacity:
        errors.required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        errors.not_supported("spec.capacity", capacity, ("storage",))
    for name, text in capacity.items():
        check_quantity(errors, name, text, f"spec.capacity[{name}]")
        if Quantity.parse(text) <= Quantity():
            errors.invalid(
                f"spec.capacity[{name}]", str(Quantity.parse(text)), "must be greater than zero"
            )
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy:
        errors.one_of("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM)
    _check_volume_affinity(errors, spec)
    _check_volume_source(errors, spec)
    name = spec.get("storageClassName", "")
    if name:
        errors.each("spec.storageClassName", name, dns1123_subdomain(name))
    if spec.get("volumeMode") is not None:
        errors.one_of("spec.volumeMode", spec["volumeMode"], _VOLUME_MODES)


def _check_volume_affinity(errors: Errors, spec: Object) -> None:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        return
    if affinity.get("required") is None:
        errors.required("spec.nodeAffinity.required", "must specify required node constraints")
    else:
        check_node_selector(errors, affinity["required"], "spec.nodeAffinity.required")


def _check_volume_source(errors: Errors, spec: Object) -> None:
    kinds = [kind for kind in spec if kind not in _NOT_SOURCES and spec[kind] is not None]
    if not kinds:
        errors.required("spec", "must specify a volume type")
        return
    for kind in kinds[1:]:
        errors.forbidden(f"spec.{kind}", "may not specify more than 1 volume type")
    check = _PV_SOURCES.get(kinds[0])
    if check is not None:
        check(errors, spec[kinds[0]], f"spec.{kinds[0]}")
    if kinds[0] == "local" and (spec.get("nodeAffinity") or {}).get("required") is None:
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")
    path = (spec.get("hostPath") or {}).get("path")
    if path == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        message = "may not be 'recycle' for a hostPath mount of '/'"
        errors.forbidden("spec.persistentVolumeReclaimPolicy", message)


def _local(errors: Errors, source: Object, path: str) -> None:
    if not source.get("path"):
        errors.required(f"{path}.path")
    else:
        check_no_backsteps(errors, source["path"], f"{path}.path")


def _csi(errors: Errors, source: Object, path: str) -> None:
    check_driver_name(errors, source.get("driver", ""), f"{path}.driver")
    if not source.get("volumeHandle"):
        errors.required(f"{path}.volumeHandle")
    for field in ("controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef"):
        reference = source.get(field)
        if reference is None:
            continue
        for key in ("name", "namespace"):
            value = reference.get(key, "")
            if not value:
                errors.required(f"{path}.{field}.{key}")
            elif key == "namespace":
                errors.each(f"{path}.{field}.{key}", value, dns1123_label(value))


def check_volume_update(errors: Errors, new: Object, old: Object) -> None:
    """A volume's source and mode are fixed."""
    check_volume(errors, new)
    now, before = new.get("spec") or {}, old.get("spec") or {}
    sources = [{k: v for k, v in spec.items() if k not in _NOT_SOURCES} for spec in (now, before)]
    if sources[0] != sources[1]:
        errors.forbidden(
            "spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"
        )
    errors.immutable("spec.volumeMode", now.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        errors.immutable("spec.nodeAffinity", now.get("nodeAffinity"), before.get("nodeAffinity"))


_PV_SOURCES.update(
    hostPath=check_host_path, nfs=check_nfs, iscsi=check_iscsi, local=_local, csi=_csi
)
