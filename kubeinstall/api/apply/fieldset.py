"""Sets of field paths, as the dicts that FieldsV1 is on the wire.

A set maps path elements (`f:spec`, `k:{"name":"c"}`, `v:"x"`, `i:0`) to the set below them. An
element is itself a *member* when what is below it is empty or holds ".". So
`{"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}` holds `.metadata.labels` and
`.metadata.labels.a`, but not `.metadata`. Sets are never changed in place: results share parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from kubeinstall.api.apply.model import STRUCT, TypeNode

FieldSet = dict[str, Any]

SELF: Final = "."
#: Also the set of a leaf member.
EMPTY: Final[FieldSet] = {}


def is_member(below: FieldSet) -> bool:
    """Whether the element that `below` hangs on is in the set."""
    return not below or SELF in below


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    if not children:
        return {} if member else None
    return {SELF: {}, **children} if member else children


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """Members of either."""
    if not a or not b or a is b:
        return a or b
    out = dict(a)
    out.pop(SELF, None)
    for element, below in b.items():
        if element == SELF:
            continue
        mine = out.get(element)
        if mine is None:
            out[element] = below
        elif mine != below:
            member = is_member(mine) or is_member(below)
            children = union(_children(mine), _children(below))
            out[element] = _node(member, children) or {}
    return out


def _children(below: FieldSet) -> FieldSet:
    if SELF not in below:
        return below
    return {element: each for element, each in below.items() if element != SELF}


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Members of `a` that are not members of `b`."""
    if not b:
        return a
    out: FieldSet = {}
    for element, mine in a.items():
        if element == SELF:
            continue
        other = b.get(element)
        if other is None:
            out[element] = mine
            continue
        member = is_member(mine) and not is_member(other)
        rest = _node(member, difference(_children(mine), _children(other)))
        if rest is not None:
            out[element] = rest
    return out


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """Members of both."""
    out: FieldSet = {}
    for element, mine in a.items():
        other = b.get(element)
        if element == SELF or other is None:
            continue
        member = is_member(mine) and is_member(other)
        both = _node(member, intersection(mine, other))
        if both is not None:
            out[element] = both
    return out


def exclude(fields: FieldSet, path: tuple[str, ...]) -> FieldSet:
    """Without the element at `path` (path elements) and everything below it."""
    element = path[0]
    below = fields.get(element)
    if below is None:
        return fields
    out = {key: value for key, value in fields.items() if key != element}
    if len(path) > 1:
        member = is_member(below)
        rest = _node(member, exclude(_children(below), path[1:]))
        if rest is not None:
            out[element] = rest
    return out


def ensure_named(fields: FieldSet, node: TypeNode | None) -> FieldSet:
    """With every declared struct field that has members below it as a member too."""
    out: FieldSet = {}
    for element, below in fields.items():
        if not below:
            out[element] = below
            continue
        child = below_element(node, element)
        member = SELF in below
        if node is not None and node.kind == STRUCT and element.startswith("f:"):
            member = member or element[2:] in node.fields
        out[element] = _node(member, ensure_named(_children(below), child)) or {}
    return out


def below_element(node: TypeNode | None, element: str) -> TypeNode | None:
    """The type below a path element."""
    if node is None:
        return None
    return node.child(element[2:]) if element.startswith("f:") else node.element


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Members as text (`.spec.containers[name="c"].image`), a level's members before what is below."""
    ordered = sorted(key for key in fields if key != SELF)
    for element in ordered:
        if is_member(fields[element]):
            yield prefix + element_text(element)
    for element in ordered:
        if fields[element]:
            yield from paths(fields[element], prefix + element_text(element))


def element_text(element: str) -> str:
    """A path element as messages show it."""
    kind, value = element[:2], element[2:]
    if kind == "f:":
        return f".{value}"
    if kind == "k:":
        keys = orjson.loads(value)
        return "[" + ",".join(f"{name}={_scalar(keys[name])}" for name in sorted(keys)) + "]"
    return f"[={_scalar(orjson.loads(value))}]" if kind == "v:" else f"[{value}]"


def _scalar(value: Any) -> str:
    return orjson.dumps(value).decode()
