"""Definitions of custom resources as upstream publishes them.

What OpenAPI v2 (and the kubectl that reads it) cannot say is left out there: junctors, null, and types of what
keeps unknown fields.
"""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.openapi.definitions import Definition
from kubeinstall.api.openapi.paths import CustomType

_REF: Final = "#/definitions/"
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf", "not")
#: Where the words about `apiVersion` and `kind` are: they are the same of every kind.
_ANY_KIND: Final = "io.k8s.api.core.v1.ConfigMap"


def custom_definition(custom: CustomType, *, v2: bool) -> Definition:
    """The definition of a custom resource; references are in v2 form."""
    resource = custom.resource
    found: Definition = {"type": "object"}
    if custom.schema is not None and not (v2 and custom.schema.get(_PRESERVE)):
        found = _converted(custom.schema, v2=v2)
        found["properties"] = {**(found.get("properties") or {}), **_envelope()}
    found["x-kubernetes-group-version-kind"] = [
        {"group": resource.group, "kind": resource.kind, "version": resource.version}
    ]
    kind = resource.custom
    if kind is not None and kind.selectable:
        found["x-kubernetes-selectable-fields"] = [{"fieldPath": one} for one in kind.selectable]
    return found


def _envelope() -> dict[str, Definition]:
    words = schema.descriptions().get(_ANY_KIND, {})
    return {
        **{name: _text(words.get(name)) for name in ("apiVersion", "kind")},
        "metadata": {
            "$ref": f"{_REF}{schema.OBJECT_META}",
            "description": (
                "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/"
                "sig-architecture/api-conventions.md#metadata"
            ),
        },
    }


def _text(description: str | None) -> Definition:
    return {"type": "string", **({"description": description} if description else {})}


def _converted(value: Definition, *, v2: bool) -> Definition:
    found = _for_v2(value) if v2 else dict(value)
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            found[name] = _converted(found[name], v2=v2)
    properties = {
        name: _converted(inner, v2=v2) for name, inner in (found.get("properties") or {}).items()
    }
    if value.get(_EMBEDDED):
        properties |= _envelope()
        if not value.get(_PRESERVE) or not v2:
            found["required"] = sorted({*(found.get("required") or ()), "apiVersion", "kind"})
    if properties:
        found["properties"] = properties
    return found


def _for_v2(value: Definition) -> Definition:
    """One schema without what v2 has no words for; what is below it is not looked at."""
    left_out = set(_JUNCTORS)
    kind: Any = value.get("type")
    if value.get("nullable"):
        left_out |= {"type", "nullable", "items", "properties"}
    if value.get(_PRESERVE):
        left_out |= {"items", "properties"}
        if kind == "object":
            left_out.add("type")
    if kind == "array" and ("items" in left_out or "items" not in value):
        left_out.add("type")
    found = {name: member for name, member in value.items() if name not in left_out}
    nullable = {
        name
        for name, inner in (value.get("properties") or {}).items()
        if isinstance(inner, dict) and inner.get("nullable")
    }
    extra = value.get("additionalProperties")
    required = [name for name in value.get("required") or [] if name not in nullable]
    if isinstance(extra, dict) and extra.get("nullable"):
        required = []
    if "required" in found:
        del found["required"]
        if required:
            found["required"] = required
    return found
