"""Which fields a write may own: upstream strips metadata, and strategies reset what they ignore."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.apply.fieldset import FieldSet, exclude
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object

Path = tuple[str, ...]

#: Nobody owns these: the API server sets or checks them itself.
STRIPPED: Final[tuple[Path, ...]] = (
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata", "f:name"),
    ("f:metadata", "f:namespace"),
    ("f:metadata", "f:creationTimestamp"),
    ("f:metadata", "f:selfLink"),
    ("f:metadata", "f:uid"),
    ("f:metadata", "f:clusterName"),
    ("f:metadata", "f:generation"),
    ("f:metadata", "f:managedFields"),
    ("f:metadata", "f:resourceVersion"),
)
_METADATA: Final[Path] = ("f:metadata",)
_SPEC: Final[Path] = ("f:spec",)
_STATUS: Final[Path] = ("f:status",)

#: What a write to a subresource cannot change, where it is more than `spec`.
_RESET: Final[dict[tuple[str, str, str], tuple[Path, ...]]] = {
    ("", "pods", "status"): (
        _SPEC,
        ("f:metadata", "f:deletionTimestamp"),
        ("f:metadata", "f:ownerReferences"),
    ),
    ("apps", "deployments", "status"): (_SPEC, ("f:metadata", "f:labels")),
    ("certificates.k8s.io", "certificatesigningrequests", "status"): (
        _SPEC,
        ("f:status", "f:conditions"),
    ),
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): (
        _SPEC,
        ("f:status", "f:certificate"),
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "status"): (_METADATA, _SPEC),
    ("apiextensions.k8s.io", "customresourcedefinitions", "status"): (_METADATA, _SPEC),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "status"): (_METADATA, _SPEC),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status"): (_METADATA, _SPEC),
    ("storage.k8s.io", "volumeattachments", "status"): (_METADATA, _SPEC),
}


def reset_paths(resource: Resource, subresource: str) -> tuple[Path, ...]:
    """Paths that a write to this resource (or subresource) does not change and cannot own."""
    known = _RESET.get((resource.group, resource.name, subresource))
    if known is not None:
        return known
    if subresource == "status":
        return (_SPEC,) if resource.builtin else (_METADATA, _SPEC)
    if not subresource and resource.subresource("status") is not None:
        return (_STATUS,)
    return ()


def without(fields: FieldSet, paths: tuple[Path, ...]) -> FieldSet:
    """`fields` without everything at and below `paths`."""
    for path in paths:
        fields = exclude(fields, path)
    return fields


def zero_object(resource: Resource) -> Object:
    """What upstream's empty Go object of this kind encodes to: new objects are compared with it.

    A field that is in there was never "added", so nobody owns the map itself, only what is in it.
    """
    return _zero(resource.group, resource.version, resource.kind) if resource.builtin else {}


@lru_cache(maxsize=512)
def _zero(group: str, version: str, kind: str) -> Object:
    root = schema.type_of(group, version, kind)
    return _zero_struct(root) if root is not None else {}


def _zero_struct(found: schema.Type) -> Object:
    out: Object = {}
    for name, field in found.fields.items():
        if field.always:
            out[name] = _zero_value(field)
    return out


def _zero_value(field: schema.Field) -> Any:
    kind = field.shape.kind
    if kind == schema.STRUCT and not field.pointer:
        return _zero_struct(schema.named(field.shape.type_name))
    if kind in (schema.STRING, schema.INT_OR_STRING):
        return ""
    if kind in (schema.INT32, schema.INT64, schema.NUMBER):
        return 0
    return False if kind == schema.BOOLEAN else None
