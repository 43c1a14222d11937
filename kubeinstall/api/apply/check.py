"""Whether an applied configuration fits its type: structured-merge-diff's typed validation."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.apply.fieldset import element_text
from kubeinstall.api.apply.items import KeyMissing, element_of
from kubeinstall.api.apply.model import DEDUCED, LIST, SCALAR, STRUCT, TypeNode


def problems(node: TypeNode | None, value: Any, path: str = "") -> list[str]:
    """What is wrong, as `.spec.nope: field not declared in schema`; empty when all fits."""
    if node is None or value is None or node.kind == DEDUCED:
        return []
    if node.kind == SCALAR:
        kind = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else ""
        return [f"{path}: expected scalar, got {kind}"] if kind else []
    if node.kind == LIST:
        if not isinstance(value, list):
            return [f"{path}: expected list, got {_shown(value)}"]
        return _list(node, value, path)
    if not isinstance(value, dict):
        return [f"{path}: expected map, got {_shown(value)}"]
    found: list[str] = []
    for key, each in value.items():
        child = node.child(key)
        below = f"{path}.{key}"
        if child is None:
            if node.kind == STRUCT:
                found.append(f"{below}: field not declared in schema")
        else:
            found += problems(child, each, below)
    return found


def _shown(value: Any) -> str:
    return "&{" + str(value) + "}"


def _list(node: TypeNode, value: list[Any], path: str) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if not node.atomic:
            try:
                element = element_of(node, item)
            except KeyMissing as error:
                found.append(f"{path}: element {index}: {error}")
                continue
            if element in seen:
                found.append(f"{path}: duplicate entries for key {element_text(element)}")
            seen.add(element)
        found += problems(node.element, item, path + element_text(element))
    return found


def message(found: list[str]) -> str:
    """Several problems as one message."""
    if len(found) == 1:
        return found[0]
    return "errors:\n" + "\n".join(f"  {each}" for each in found)
