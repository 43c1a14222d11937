"""What an update left as it was: it is not judged again (KEP-4008, CRD validation ratcheting).

A schema may become stricter than what is stored. An update is refused only for what it changes.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from kubeinstall.api.types import Object

#: There is no old value to compare with.
ABSENT: Final[Any] = object()


def unchanged(value: Any, old: Any) -> bool:
    """Whether the values are the same, types included: `1` is neither `True` nor `1.0`."""
    if old is ABSENT or value != old:
        return False
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        old, option=orjson.OPT_SORT_KEYS
    )


def old_member(old: Any, name: str) -> Any:
    """The old value of a member of an object."""
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT


def old_item(schema: Object, value: Any, old: Any) -> Any:
    """The old value of a list's item: only in a list that is a map do items have an identity."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(value, dict):
        return ABSENT
    keys = schema.get("x-kubernetes-list-map-keys") or []
    for other in old if isinstance(old, list) else ():
        if isinstance(other, dict) and all(other.get(key) == value.get(key) for key in keys):
            return other
    return ABSENT
