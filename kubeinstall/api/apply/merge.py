"""Merging an applied configuration into an object, and taking fields out of one, by type."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.apply.fieldset import FieldSet, is_member
from kubeinstall.api.apply.items import KeyMissing, by_element, element_of
from kubeinstall.api.apply.model import LIST, TypeNode

_ABSENT: Any = object()


def merge(node: TypeNode | None, live: Any, config: Any) -> Any:
    """`live` with everything that `config` says; neither is changed, parts are shared."""
    if node is None or node.leaf:
        return config
    if node.kind == LIST:
        if not isinstance(live, list) or not live:
            return live if config is None and live is not None else config
        return _merge_lists(node, live, config or [])
    if isinstance(live, dict) and live and (config is None or isinstance(config, dict)):
        out = dict(live)
        for key, value in (config or {}).items():
            out[key] = merge(node.child(key), live[key], value) if key in live else value
        return out
    return config


def _merge_lists(node: TypeNode, live: list[Any], config: list[Any]) -> list[Any]:
    """Items merge by identity. Order: the configuration's, with other live items where they stood."""
    mine, theirs = by_element(node, config), by_element(node, live)
    left = list(theirs)
    right = list(mine)
    shared = [element for element in right if element in theirs]
    done: set[str] = set()
    out: list[Any] = []

    def take(element: str) -> None:
        done.add(element)
        if shared and shared[0] == element:
            shared.pop(0)
        if element in theirs:
            out.append(merge(node.element, theirs[element], mine[element]))
        else:
            out.append(mine[element])

    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            if left[i] == right[j]:
                take(left[i])
                i, j = i + 1, j + 1
                continue
            if left[i] in mine and shared and shared[0] != left[i]:
                # A shared item, but another one comes first in the configuration.
                i += 1
                continue
        if i < len(left):
            if left[i] not in mine:
                out.append(theirs[left[i]])
                i += 1
                continue
            if left[i] in done:
                i += 1
        if j < len(right):
            take(right[j])
            j += 1
    return out


def remove(node: TypeNode | None, value: Any, fields: FieldSet) -> Any:
    """`value` without the members of `fields`; None when nothing is left."""
    if node is None or node.leaf or not fields:
        return value
    if isinstance(value, dict) and node.kind != LIST:
        return _remove_from_map(node, value, fields)
    if isinstance(value, list) and node.kind == LIST:
        return _remove_from_list(node, value, fields)
    return value


def _remove_from_map(node: TypeNode, value: dict[str, Any], fields: FieldSet) -> Any:
    out: dict[str, Any] = {}
    for key, each in value.items():
        below = fields.get(f"f:{key}")
        if below is None:
            out[key] = each
        elif not is_member(below):
            rest = remove(node.child(key), each, below)
            if rest is not None:
                out[key] = rest
    return out or None


def _remove_from_list(node: TypeNode, value: list[Any], fields: FieldSet) -> Any:
    out: list[Any] = []
    for item in value:
        try:
            below = fields.get(element_of(node, item))
        except KeyMissing:
            below = None
        if below is None:
            out.append(item)
        elif not is_member(below):
            rest = remove(node.element, item, below)
            if rest is not None:
                out.append(rest)
    return out or None
