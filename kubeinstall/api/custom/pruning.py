"""Pruning: fields that a structural schema does not name are dropped (`structural.Prune`)."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_ENVELOPE = frozenset({"apiVersion", "kind", "metadata"})


def prune(value: Any, schema: Object, path: str, dropped: list[str], *, root: bool = False) -> None:
    """Drop unknown fields of `value` in place and note their paths ("spec.x", "spec.list[0].y")."""
    if isinstance(value, dict):
        _prune_object(value, schema, path, dropped, root or bool(schema.get(_EMBEDDED)))
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                prune(item, items, f"{path}[{index}]", dropped)


def _prune_object(
    value: Object, schema: Object, path: str, dropped: list[str], whole: bool
) -> None:
    properties: Object = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name in list(value):
        inner = f"{path}.{name}" if path else name
        if whole and name in _ENVELOPE:
            continue
        if name in properties:
            prune(value[name], properties[name], inner, dropped)
        elif isinstance(extra, dict):
            prune(value[name], extra, inner, dropped)
        elif not extra and not schema.get(_PRESERVE):
            del value[name]
            dropped.append(inner)
