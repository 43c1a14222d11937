"""Defaults of structural schemas (`structural.Default`): top down, so that a default may have defaults of its own."""

from __future__ import annotations

import copy
from typing import Any

from kubeinstall.api.types import Object


def set_defaults(value: Any, schema: Object) -> None:
    """Set defaults below `value`, in place. A null where null is not allowed and a default exists gives way to it."""
    if isinstance(value, dict):
        _default_object(value, schema)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                if item is None and not items.get("nullable") and "default" in items:
                    value[index] = copy.deepcopy(items["default"])
                set_defaults(value[index], items)


def _default_object(value: Object, schema: Object) -> None:
    properties: Object = schema.get("properties") or {}
    for name, inner in properties.items():
        missing = name not in value or (value[name] is None and not inner.get("nullable"))
        if missing and "default" in inner:
            value[name] = copy.deepcopy(inner["default"])
        elif missing and name in value:
            del value[name]  # a null that may not be is as good as absent
        if name in value:
            set_defaults(value[name], inner)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for name in value:
            if name not in properties:
                set_defaults(value[name], extra)
