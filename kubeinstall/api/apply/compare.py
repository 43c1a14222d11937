"""What fields an object has, and which differ between two: structured-merge-diff's walkers.

All results are `FieldSet`s. Null values count as present and empty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeinstall.api.apply.fieldset import SELF, FieldSet, union
from kubeinstall.api.apply.items import by_element
from kubeinstall.api.apply.model import LIST, STRUCT, TypeNode, deduced


class Comparison(NamedTuple):
    """Paths only the new object has, only the old one has, and of leaves with another value."""

    added: FieldSet
    removed: FieldSet
    modified: FieldSet

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not (self.added or self.removed or self.modified)

    @property
    def changed(self) -> FieldSet:
        """Paths added or modified."""
        return union(self.added, self.modified)


_SAME = Comparison({}, {}, {})


def compare(node: TypeNode, old: Any, new: Any) -> Comparison:
    """Compare two maps of one type."""
    return _maps(node, old or {}, new or {})


def _maps(node: TypeNode, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    added: FieldSet = {}
    removed: FieldSet = {}
    modified: FieldSet = {}
    for key, value in new.items():
        if key in old:
            before = old[key]
            if before is value or before == value:
                continue
            _below(node.child(key), f"f:{key}", before, value, added, removed, modified)
        else:
            added[f"f:{key}"] = everything(node.child(key), value)
    if len(old) + len(added) != len(new):
        for key, value in old.items():
            if key not in new:
                removed[f"f:{key}"] = everything(node.child(key), value)
    return Comparison(added, removed, modified)


def _below(
    node: TypeNode | None,
    element: str,
    old: Any,
    new: Any,
    added: FieldSet,
    removed: FieldSet,
    modified: FieldSet,
) -> None:
    """Compare two unequal values and put what differs below `element` of the three sets."""
    if node is None or node.leaf or not (old or new):
        modified[element] = {}
        return
    if _is(dict, old, new) and node.kind != LIST:
        found = _maps(node, old or {}, new or {})
    elif node.kind == LIST and _is(list, old, new):
        found = _lists(node, old or [], new or [])
    else:
        # Another kind of value, or a list of what has no schema.
        modified[element] = {}
        return
    if found.added:
        added[element] = found.added
    if found.removed:
        removed[element] = found.removed
    if found.modified:
        modified[element] = found.modified


def _is(kind: type, old: Any, new: Any) -> bool:
    return (old is None or type(old) is kind) and (new is None or type(new) is kind)


def _lists(node: TypeNode, old: list[Any], new: list[Any]) -> Comparison:
    added: FieldSet = {}
    removed: FieldSet = {}
    modified: FieldSet = {}
    before, after = by_element(node, old), by_element(node, new)
    for element, value in after.items():
        if element not in before:
            added[element] = everything(node.element, value)
        elif before[element] != value:
            _below(node.element, element, before[element], value, added, removed, modified)
    for element, value in before.items():
        if element not in after:
            removed[element] = everything(node.element, value)
    return Comparison(added, removed, modified)


def everything(node: TypeNode | None, value: Any) -> FieldSet:
    """All paths of a value that was not there before: leaves, and every map and item as well."""
    if node is None or not value or node.leaf:
        return {}
    kind = type(value)
    out: FieldSet = {SELF: {}}
    if kind is dict and node.kind != LIST:
        if node.kind == STRUCT:
            fields = node.fields
            for key, each in value.items():
                child = fields.get(key)
                if child is None:
                    child = node.child(key)
                # Most fields are leaves: spare them the call.
                leaf = child is None or child.leaf
                out[f"f:{key}"] = {} if leaf else everything(child, each)
        else:
            element = node.element if node.kind != "deduced" else deduced()
            for key, each in value.items():
                out[f"f:{key}"] = {} if element.leaf else everything(element, each)
        return out
    if kind is list and node.kind == LIST:
        for path, each in by_element(node, value).items():
            out[path] = everything(node.element, each)
        return out
    return {}


def field_set(node: TypeNode, value: dict[str, Any]) -> FieldSet:
    """The paths an applied configuration lays claim to: leaves, list items and empty maps."""
    return _claimed(node, value) or {}


def _claimed(node: TypeNode | None, value: Any) -> FieldSet | None:
    """Set below a value; None: nothing, {}: the value itself is a leaf."""
    if node is None or node.leaf or not isinstance(value, (dict, list)):
        return {}
    out: FieldSet = {}
    if isinstance(value, list):
        if node.kind != LIST:
            return {}
        for element, item in by_element(node, value).items():
            below = _claimed(node.element, item)
            out[element] = {SELF: {}, **below} if below else {}
        return out or None
    for key, each in value.items():
        child = node.child(key)
        below = _claimed(child, each)
        if each is None or each == {}:
            below = {}
        elif below and not (node.kind == STRUCT and key in node.fields):
            below = {SELF: {}, **below}
        if below is not None:
            out[f"f:{key}"] = below
    return out or None
