"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import binascii

import orjson

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import config_key

MAX_BYTES = 1024 * 1024

_REQUIRED_DATA = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT = "kubernetes.io/service-account.name"
_IMMUTABLE = "field is immutable when `immutable` is set"


def check_config_map(errors: Errors, item: Object) -> None:
    """Keys, keys that are in both halves, total size."""
    size = 0
    binary = item.get("binaryData") or {}
    for key, value in (item.get("data") or {}).items():
        errors.each(f"data[{key}]", key, config_key(key))
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(value.encode())
    for key, value in binary.items():
        errors.each(f"binaryData[{key}]", key, config_key(key))
        size += len(value) * 3 // 4
    if size > MAX_BYTES:
        errors.too_long("", MAX_BYTES)


def check_config_map_update(errors: Errors, new: Object, old: Object) -> None:
    """An immutable ConfigMap stays as it is."""
    _check_immutable(errors, new, old, ("data", "binaryData"))
    check_config_map(errors, new)


def check_secret(errors: Errors, item: Object) -> None:
    """Keys, size, and what the type asks for."""
    size = 0
    data = item.get("data") or {}
    for key, value in data.items():
        errors.each(f"data[{key}]", key, config_key(key))
        size += len(value) * 3 // 4
    if size > MAX_BYTES:
        errors.too_long("data", MAX_BYTES)
    kind = item.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        if not (item["metadata"].get("annotations") or {}).get(_ACCOUNT):
            errors.required(f"metadata.annotations[{_ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors.required("data[username]")
            errors.required("data[password]")
    else:
        _check_required(errors, kind, data)


def _check_required(errors: Errors, kind: str, data: dict[str, str]) -> None:
    for key in _REQUIRED_DATA.get(kind, ()):
        if key not in data:
            errors.required(f"data[{key}]")
        elif kind.startswith("kubernetes.io/docker") and not _is_json(data[key]):
            errors.invalid(
                f"data[{key}]", "<secret contents redacted>", "invalid character in secret"
            )


def _is_json(encoded: str) -> bool:
    try:
        orjson.loads(base64.b64decode(encoded))
    except (ValueError, binascii.Error):
        return False
    return True


def check_secret_update(errors: Errors, new: Object, old: Object) -> None:
    """The type never changes, and an immutable Secret stays as it is."""
    errors.immutable("type", new.get("type", ""), old.get("type", ""))
    _check_immutable(errors, new, old, ("data",))
    check_secret(errors, new)


def _check_immutable(errors: Errors, new: Object, old: Object, fields: tuple[str, ...]) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.forbidden("immutable", _IMMUTABLE)
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            errors.forbidden(field, _IMMUTABLE)
