"""The identity of list items: path elements of sets and maps by key."""

from __future__ import annotations

from typing import Any

import orjson

from kubeinstall.api.apply.model import KEY_DEFAULTS, TypeNode


class KeyMissing(ValueError):
    """An item of a map-like list lacks a key field; carries its name."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f'associative list with keys has an element that omits key field "{key}" '
            "(and doesn't have default value)"
        )


def element_of(node: TypeNode, item: Any) -> str:
    """The path element of an item of a LIST that is not atomic. Raises KeyMissing."""
    keys = node.keys
    if not keys:
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    if not isinstance(item, dict):
        raise KeyMissing(keys[0])
    identity: dict[str, Any] = {}
    for key in keys:
        value = item.get(key)
        if value is None:
            value = KEY_DEFAULTS.get(key)
        if value is None:
            # Upstream: only some keys may be left out, and then the item has no such key at all.
            continue
        identity[key] = value
    if not identity:
        raise KeyMissing(keys[0])
    return "k:" + orjson.dumps(identity, option=orjson.OPT_SORT_KEYS).decode()


def by_element(node: TypeNode, items: list[Any]) -> dict[str, Any]:
    """Items by path element, in order; of duplicates the first; without identity: left out."""
    found: dict[str, Any] = {}
    for item in items:
        try:
            found.setdefault(element_of(node, item), item)
        except KeyMissing:
            continue
    return found
