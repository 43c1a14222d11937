"""Definitions as documents show them: descriptions put back, defaults for v3, references followed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.openapi.paths import CustomType, definition_name

Definition = dict[str, Any]

_REF: Final = "#/definitions/"
_REF3: Final = "#/components/schemas/"
_ZERO: Final[dict[str, Any]] = {
    schema.STRING: "",
    schema.BOOLEAN: False,
    schema.INT32: 0,
    schema.INT64: 0,
    schema.NUMBER: 0,
    schema.STRUCT: {},
}
#: Defaults stated in the API's own types, by shortened type name.
_STATED: Final[dict[str, dict[str, Any]]] = {
    "autoscaling.v1.ScaleSpec": {"replicas": 0},
    "core.v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "core.v1.ConfigMapEnvSource": {"name": ""},
    "core.v1.ConfigMapKeySelector": {"name": ""},
    "core.v1.ConfigMapProjection": {"name": ""},
    "core.v1.ConfigMapVolumeSource": {"name": ""},
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.FileKeySelector": {"optional": False},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core.v1.LocalObjectReference": {"name": ""},
    "core.v1.RBDPersistentVolumeSource": {
        "keyring": "/etc/ceph/keyring",
        "pool": "rbd",
        "user": "admin",
    },
    "core.v1.RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "core.v1.ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "core.v1.ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "core.v1.ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "core.v1.SecretEnvSource": {"name": ""},
    "core.v1.SecretKeySelector": {"name": ""},
    "core.v1.SecretProjection": {"name": ""},
    "core.v1.ServicePort": {"protocol": "TCP"},
    "resource.v1.DeviceToleration": {"operator": "Equal"},
}
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def described(name: str, texts: dict[str, dict[str, str]]) -> Definition:
    """A built-in definition with its descriptions, in v2 form."""
    found = schema.definition(name)
    documented = texts.get(name, {})
    if "" in documented:
        found["description"] = documented[""]
    for field, value in found.get("properties", {}).items():
        if field in documented:
            value["description"] = documented[field]
    return found


def custom_list(custom: CustomType) -> Definition:
    """The list of a CustomResource."""
    resource = custom.resource
    item = definition_name(resource.group, resource.version, resource.kind)
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "items": {"type": "array", "items": {"$ref": _REF + item}},
            "kind": {"type": "string"},
            "metadata": {"$ref": _REF + schema.LIST_META},
        },
        "x-kubernetes-group-version-kind": [
            {"group": resource.group, "kind": resource.list_kind, "version": resource.version}
        ],
    }


def references(value: Any, found: set[str]) -> None:
    """Collect the names of all definitions that `value` refers to."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            found.add(reference[len(_REF) :])
        for each in value.values():
            references(each, found)
    elif isinstance(value, list):
        for each in value:
            references(each, found)


def closure(names: Iterable[str], known: dict[str, Definition]) -> dict[str, Definition]:
    """Definitions by name with all they refer to; `known` holds those that are not built in."""
    texts = schema.descriptions()
    found: dict[str, Definition] = {}
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found[name] = known[name] if name in known else described(name, texts)
        more: set[str] = set()
        references(found[name], more)
        waiting |= more - found.keys()
    return found


def to_v3(name: str, definition: Definition) -> Definition:
    """A definition in v3 form, with the defaults that upstream states."""
    description = {k: v for k, v in definition.items() if k == "description"}
    if name == _INT_OR_STRING:
        choice = [{"type": "integer"}, {"type": "string"}]
        return {**description, "format": "int-or-string", "oneOf": choice}
    if name == _QUANTITY:
        return {**description, "oneOf": [{"type": "string"}, {"type": "number"}]}
    found = dict(definition)
    if "properties" in found:
        builtin = schema.named(name) if name in _builtin_names() else None
        fields = builtin.fields if builtin else {}
        stated = _STATED.get(builtin.short, {}) if builtin else {}
        found["properties"] = {
            key: _property(value, fields.get(key), stated.get(key))
            for key, value in found["properties"].items()
        }
    return found


@lru_cache(maxsize=1)
def _builtin_names() -> frozenset[str]:
    return frozenset(schema.type_names())


def _property(value: Definition, field: schema.Field | None, stated: Any) -> Definition:
    default = _default(field) if stated is None else stated
    return _referring(value, default, field.shape if field is not None else None)


def _default(field: schema.Field | None) -> Any:
    if field is None or not field.always or field.pointer:
        return None
    return _ZERO.get(field.shape.kind)


def _referring(value: Definition, default: Any, shape: schema.Shape | None) -> Definition:
    found = dict(value)
    reference = found.pop("$ref", None)
    element = shape.element if shape is not None else None
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            zero = _ZERO.get(element.kind) if element is not None else None
            found[key] = _referring(found[key], zero, element)
    if "properties" in found:
        inner = found["properties"].items()
        found["properties"] = {name: _referring(part, None, None) for name, part in inner}
    if default is not None:
        found["default"] = default
    if reference is not None:
        target = {"$ref": reference.replace(_REF, _REF3)}
        if not found:
            return target
        found["allOf"] = [target]
    return found
