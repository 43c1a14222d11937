"""Static types of OpenAPI schemas, as Kubernetes declares them for `self`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubeinstall.api.cel import lexer
from kubeinstall.api.cel import types as t
from kubeinstall.api.types import Object

RESERVED = lexer.RESERVED | {"true", "false", "null", "in"}
_NAME = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*")
_STRING_FORMATS = {
    "byte": t.BYTES,
    "duration": t.DURATION,
    "date": t.TIMESTAMP,
    "date-time": t.TIMESTAMP,
}
_PLAIN = {"integer": t.INT, "number": t.DOUBLE, "boolean": t.BOOL}
_METADATA = t.Type("ObjectMeta", (), {"name": t.STRING, "generateName": t.STRING})


def escape(name: str) -> str | None:
    """A property's name as an identifier; None where it has none."""
    if not _NAME.fullmatch(name):
        return None
    if name in RESERVED:
        return f"__{name}__"
    for text, escaped in (
        ("__", "__underscores__"),
        (".", "__dot__"),
        ("-", "__dash__"),
        ("/", "__slash__"),
    ):
        name = name.replace(text, escaped)
    return name


def type_of_schema(schema: Object, *, root: bool = False) -> t.Type | None:
    """The type of values of a schema; None where expressions cannot see them."""
    if schema.get("x-kubernetes-int-or-string"):
        return t.DYN
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        item = type_of_schema(items) if isinstance(items, dict) else None
        return None if item is None else t.list_of(item)
    if kind == "object":
        return _object(schema, root or bool(schema.get("x-kubernetes-embedded-resource")))
    if kind == "string":
        return _STRING_FORMATS.get(schema.get("format") or "", t.STRING)
    return _PLAIN.get(kind or "")


def _object(schema: Object, resource: bool) -> t.Type | None:
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        value = type_of_schema(extra)
        return None if value is None else t.map_of(t.STRING, value)

    def fields() -> Mapping[str, t.Type]:
        found: dict[str, t.Type] = {}
        for name, inner in (schema.get("properties") or {}).items():
            escaped = escape(name)
            inner_type = type_of_schema(inner)
            if escaped is not None and inner_type is not None:
                found[escaped] = inner_type
        if resource:
            found |= {"apiVersion": t.STRING, "kind": t.STRING, "metadata": _METADATA}
        return found

    return t.Type("object", (), fields)
