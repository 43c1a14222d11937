"""Merging a partial object into an object by type, without owners: what admission policies do."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.apply.check import message, problems
from kubeinstall.api.apply.fieldset import element_text
from kubeinstall.api.apply.items import KeyMissing, element_of
from kubeinstall.api.apply.merge import merge
from kubeinstall.api.apply.model import LIST, SCALAR, TypeNode
from kubeinstall.api.apply.tracking import type_node
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object


class MergeRefused(Exception):
    """The partial object does not fit, or would replace something whole; the text says what."""


def structural_merge(resource: Resource, live: Object, config: Object) -> Object:
    """`live` with everything that `config` says. Raises `MergeRefused`.

    Both have `kind` and `apiVersion`. What is owned as a whole (atomic lists, maps and structs) may not be set: values
    that the configuration does not name would be lost.
    """
    node = type_node(resource)
    found = problems(node, config)
    if found:
        raise MergeRefused(message(found))
    atomic = _atomic(node, config, "")
    if atomic:
        raise MergeRefused(
            f"may not mutate atomic arrays, maps or structs: {', '.join(sorted(atomic))}"
        )
    merged: Object = merge(node, live, config)
    return merged


def _atomic(node: TypeNode | None, value: Any, path: str) -> list[str]:
    if node is None or value is None or node.kind == SCALAR:
        return []
    if node.atomic:
        return [path]
    if isinstance(value, dict):
        return [
            found
            for key, each in value.items()
            for found in _atomic(node.child(key), each, f"{path}.{key}")
        ]
    if isinstance(value, list) and node.kind == LIST:
        return [
            found
            for item in value
            for found in _atomic(node.element, item, path + _shown(node, item))
        ]
    return []


def _shown(node: TypeNode, item: Any) -> str:
    try:
        return element_text(element_of(node, item))
    except KeyMissing:
        return "[]"
