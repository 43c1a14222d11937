"""Volumes of a pod, and the volume sources that PersistentVolumes share with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import config_key, dns1123_label, dns1123_subdomain
from kubeinstall.api.validation.labels import check_label_selector
from kubeinstall.api.validation.pod.env import (
    VOLUME_FIELDS,
    check_field_ref,
    check_resource_field_ref,
)
from kubeinstall.api.validation.pod.security import check_descending_path, check_no_backsteps

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def check_volumes(errors: Errors, volumes: list[Object], path: str) -> dict[str, Object]:
    """`spec.volumes`; returns the volumes by name, for the mounts to be checked against."""
    found: dict[str, Object] = {}
    for index, volume in enumerate(volumes):
        at, name = f"{path}[{index}]", volume.get("name", "")
        _check_source(errors, volume, at)
        if not name:
            errors.required(f"{at}.name")
        else:
            problems = dns1123_label(name)
            errors.each(f"{at}.name", name, problems)
            if not problems and name in found:
                errors.duplicate(f"{at}.name", name)
        found.setdefault(name, volume)
    return found


def _check_source(errors: Errors, volume: Object, path: str) -> None:
    kinds = [kind for kind in volume if kind != "name" and volume[kind] is not None]
    if not kinds:
        errors.required(path, "must specify a volume type")
        return
    for kind in kinds[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 volume type")
    kind = kinds[0]
    check = _SOURCES.get(kind)
    if check is not None:
        check(errors, volume[kind], f"{path}.{kind}")


def _empty_dir(errors: Errors, source: Object, path: str) -> None:
    if source.get("sizeLimit") is not None and Quantity.parse(source["sizeLimit"]) < Quantity():
        errors.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def check_host_path(errors: Errors, source: Object, path: str) -> None:
    """A path of the host."""
    if not source.get("path"):
        errors.required(f"{path}.path")
        return
    check_no_backsteps(errors, source["path"], f"{path}.path")
    if source.get("type") is not None and source["type"] not in _HOST_PATH_TYPES:
        errors.not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES)


def _secret(errors: Errors, source: Object, path: str) -> None:
    if not source.get("secretName"):
        errors.required(f"{path}.secretName")
    _check_files(errors, source, path)


def _config_map(errors: Errors, source: Object, path: str) -> None:
    if not source.get("name"):
        errors.required(f"{path}.name")
    _check_files(errors, source, path)


def _check_files(errors: Errors, source: Object, path: str) -> None:
    _check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    check_items(errors, source.get("items") or [], path)


def _check_mode(errors: Errors, mode: int | None, path: str) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.invalid(path, mode, _MODE)


def check_items(errors: Errors, items: list[Object], path: str) -> None:
    """Keys projected to paths."""
    for index, item in enumerate(items):
        at = f"{path}.items[{index}]" if not path.endswith("items") else f"{path}[{index}]"
        key = item.get("key", "")
        if not key:
            errors.required(f"{at}.key")
        else:
            errors.each(f"{at}.key", key, config_key(key))
        _check_item_path(errors, item, at)
        _check_mode(errors, item.get("mode"), f"{at}.mode")


def _check_item_path(errors: Errors, item: Object, path: str) -> None:
    text = item.get("path", "")
    if not text:
        errors.required(f"{path}.path")
        return
    check_descending_path(errors, text, f"{path}.path")
    if text.startswith("..") and not text.startswith("../") and text != "..":
        errors.invalid(f"{path}.path", text, "must not start with '..'")


def _downward(errors: Errors, source: Object, path: str) -> None:
    _check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    for item in source.get("items") or []:
        _check_downward_file(errors, item, path)  # upstream leaves the index out


def _check_downward_file(errors: Errors, item: Object, path: str) -> None:
    _check_item_path(errors, item, path)
    if item.get("fieldRef") is not None:
        check_field_ref(errors, item["fieldRef"], f"{path}.fieldRef", VOLUME_FIELDS)
        if item.get("resourceFieldRef") is not None:
            message = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.invalid(path, "resource", message)
    elif item.get("resourceFieldRef") is not None:
        check_resource_field_ref(
            errors, item["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True
        )
    else:
        errors.required(path, "one of fieldRef and resourceFieldRef is required")
    _check_mode(errors, item.get("mode"), f"{path}.mode")


def _projected(errors: Errors, source: Object, path: str) -> None:
    _check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    paths: dict[str, str] = {}
    for index, item in enumerate(source.get("sources") or []):
        at = f"{path}.sources[{index}]"
        kinds = [kind for kind in item if item[kind] is not None]
        if not kinds:
            errors.required(at, "must specify a volume type")
        for kind in kinds[1:]:
            errors.forbidden(f"{at}.{kind}", "may not specify more than 1 volume type")
        for kind in kinds[:1]:
            _check_projection(errors, kind, item[kind], f"{at}.{kind}", paths)


def _check_projection(
    errors: Errors, kind: str, source: Object, path: str, paths: dict[str, str]
) -> None:
    if kind in {"secret", "configMap"}:
        if not source.get("name"):
            errors.required(f"{path}.name")
        check_items(errors, source.get("items") or [], path)
    elif kind == "downwardAPI":
        for item in source.get("items") or []:
            _check_downward_file(errors, item, path)
    elif kind == "serviceAccountToken":
        _check_token(errors, source, path)
    elif kind == "clusterTrustBundle":
        _check_trust_bundle(errors, source, path)
    _check_conflicts(errors, kind, source, path, paths)


def _check_conflicts(
    errors: Errors, kind: str, source: Object, path: str, paths: dict[str, str]
) -> None:
    texts = [item.get("path", "") for item in source.get("items") or []] or [source.get("path", "")]
    for text in filter(None, texts):
        if text in paths:
            errors.invalid(path, text, "conflicting duplicate paths")
        paths[text] = kind


def _check_token(errors: Errors, source: Object, path: str) -> None:
    seconds = source.get("expirationSeconds", 3600)
    if seconds < 600:
        errors.invalid(
            f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
        )
    if seconds > 1 << 32:
        errors.invalid(
            f"{path}.expirationSeconds",
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        )
    if not source.get("path"):
        errors.required(f"{path}.path")
    else:
        check_descending_path(errors, source["path"], f"{path}.path")


def _check_trust_bundle(errors: Errors, source: Object, path: str) -> None:
    name, signer = source.get("name"), source.get("signerName")
    if name and signer:
        errors.invalid(path, source, "only one of name and signerName may be used")
    elif not name and not signer:
        errors.required(path, "either name or signerName must be specified")
    if name is not None and source.get("labelSelector") is not None:
        message = "labelSelector may not be specified if name is set"
        errors.invalid(f"{path}.labelSelector", source["labelSelector"], message)
    check_label_selector(errors, source.get("labelSelector"), f"{path}.labelSelector")
    if not source.get("path"):
        errors.required(f"{path}.path")
    else:
        check_descending_path(errors, source["path"], f"{path}.path")


def _claim(errors: Errors, source: Object, path: str) -> None:
    if not source.get("claimName"):
        errors.required(f"{path}.claimName")


def _ephemeral(errors: Errors, source: Object, path: str) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.required(f"{path}.volumeClaimTemplate")
        return
    from kubeinstall.api.validation.core.claims import check_claim_spec

    check_claim_spec(errors, template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec")


def _image(errors: Errors, source: Object, path: str) -> None:
    if not source.get("reference"):
        errors.required(f"{path}.reference")
    errors.one_of(
        f"{path}.pullPolicy", source.get("pullPolicy", ""), ("Always", "IfNotPresent", "Never")
    )


def check_nfs(errors: Errors, source: Object, path: str) -> None:
    """An NFS export."""
    for field in ("server", "path"):
        if not source.get(field):
            errors.required(f"{path}.{field}")
    if source.get("path") and not source["path"].startswith("/"):
        errors.invalid(f"{path}.path", source["path"], "must be an absolute path")


def check_iscsi(errors: Errors, source: Object, path: str) -> None:
    """An iSCSI disk."""
    for field in ("targetPortal", "iqn"):
        if not source.get(field):
            errors.required(f"{path}.{field}")
    if not 0 <= source.get("lun", 0) <= 255:
        errors.invalid(f"{path}.lun", source["lun"], "must be between 0 and 255, inclusive")


def check_csi_inline(errors: Errors, source: Object, path: str) -> None:
    """An inline CSI volume."""
    check_driver_name(errors, source.get("driver", ""), f"{path}.driver")
    reference = source.get("nodePublishSecretRef")
    if reference is not None and not reference.get("name"):
        errors.required(f"{path}.nodePublishSecretRef.name")


def check_driver_name(errors: Errors, name: str, path: str) -> None:
    """A CSI driver's name."""
    if not name:
        errors.required(path)
        return
    if len(name) > 63:
        errors.too_long(path, 63)
    errors.each(path, name, dns1123_subdomain(name.lower()))


def _needs(*fields: str) -> Callable[[Errors, Any, str], None]:
    def check(errors: Errors, source: Object, path: str) -> None:
        for field in fields:
            if not source.get(field):
                errors.required(f"{path}.{field}")

    return check


_SOURCES: dict[str, Callable[[Errors, Any, str], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": check_host_path,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
    "nfs": check_nfs,
    "iscsi": check_iscsi,
    "csi": check_csi_inline,
    "gcePersistentDisk": _needs("pdName"),
    "awsElasticBlockStore": _needs("volumeID"),
    "glusterfs": _needs("endpoints", "path"),
    "rbd": _needs("monitors", "image"),
    "quobyte": _needs("registry", "volume"),
    "cephfs": _needs("monitors"),
    "cinder": _needs("volumeID"),
    "flexVolume": _needs("driver"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureFile": _needs("secretName", "shareName"),
    "azureDisk": _needs("diskName", "diskURI"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "flocker": _needs("datasetName"),
}
