"""What an expression of a definition may cost at most, before it ever runs: cel-go's static estimates.

Sizes come from the schema (`maxItems`, `maxLength`, …); what has no limit is as large as a request of 3 MiB allows.
Where upstream knows no size at all and takes it for endless, the size of what it is made from counts here: a rule
that upstream takes is never refused for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from kubeinstall.api.cel.ast import Call, Const, Ident, ListNode, Loop, MapNode, Node, Select
from kubeinstall.api.cel.parser import parse
from kubeinstall.api.types import Object

#: Of one rule, and of all rules of a schema.
RULE_LIMIT, SCHEMA_LIMIT = 10_000_000, 100_000_000
_REQUEST: Final = 3 * 1024 * 1024
_TRAVERSAL, _REGEX = 0.1, 0.25
_LIST, _MAP, _STRUCT = 10, 30, 40
_COMPARED: Final = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
_PREFIXES: Final = ("startsWith", "endsWith")
_FORMAT_SIZES: Final = {"date": 12, "date-time": 34, "duration": 32}
_MOST = 1 << 63


class Size(NamedTuple):
    """A value as far as costs need to know: its schema, and how long it may be; None: that is not known."""

    schema: Object | None = None
    length: int | None = None


def estimate(source: str, schema: Object) -> int:
    """The most that one evaluation with `self` of that schema costs. The expression must be one that compiles."""
    size = Size(schema, length_of(schema))
    cost, _ = _cost(parse(source), {"self": size, "oldSelf": size})
    return min(math.ceil(cost), _MOST)


def message(what: str, cost: int, limit: int) -> str:
    """How much too expensive something is."""
    times = cost / limit
    factor = f"{times:f}x" if times < 1.5 else f"{times:.1f}x"
    if times > 100:
        factor = "more than 100x"
    return (
        f"{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties,"
        " and maxLength where arrays, maps, and strings are declared)"
    )


def children(schema: Object) -> Iterator[tuple[str, Object, int]]:
    """(path, schema, how often at most) of what is below a schema."""
    for name, child in (schema.get("properties") or {}).items():
        yield f".properties[{name}]", child, 1
    for field in ("additionalProperties", "items"):
        child = schema.get(field)
        if isinstance(child, dict):
            yield f".{field}", child, length_of(schema) or 1


def length_of(schema: Object) -> int | None:
    """Most items, members or bytes that a value may have; None for scalars and objects with properties."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return _REQUEST - 2
    if kind == "string":
        return _string_length(schema)
    if kind == "array":
        limit = schema.get("maxItems")
        items = schema.get("items")
        least = _least(items) if isinstance(items, dict) else 0
        return int(limit) if limit is not None else (_REQUEST - 2) // (least + 1)
    extra = schema.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict):
        limit = schema.get("maxProperties")
        return int(limit) if limit is not None else (_REQUEST - 2) // (_least(extra) + 6)
    return None


def _string_length(schema: Object) -> int:
    if schema.get("enum"):
        return max(len(str(one)) for one in schema["enum"])
    known = _FORMAT_SIZES.get(schema.get("format") or "")
    if known is not None:
        return known
    limit = schema.get("maxLength")
    # Characters take up to four bytes.
    return int(limit) * 4 if limit is not None else _REQUEST - 2


def _least(schema: Object) -> int:
    """The fewest bytes of JSON that a value takes."""
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    kind = schema.get("type")
    if kind == "object" and not isinstance(schema.get("additionalProperties"), dict):
        properties = schema.get("properties") or {}
        return 2 + sum(
            len(name) + 4 + _least(properties[name])
            for name in schema.get("required") or []
            if name in properties and "default" not in properties[name]
        )
    return {"boolean": 4, "integer": 1, "number": 1}.get(kind or "", 2)


_Scope = dict[str, Size]


def _cost(node: Node, scope: _Scope) -> tuple[float, Size]:
    if isinstance(node, Const):
        value = node.value
        return 0, Size(None, len(value) if isinstance(value, str | bytes) else None)
    if isinstance(node, Ident):
        return 1, scope.get(node.name.lstrip("."), Size())
    if isinstance(node, Select):
        cost, operand = _cost(node.operand, scope)
        # `has()` costs nothing itself.
        return (cost if node.test else cost + 1), _member(operand, node.name)
    if isinstance(node, Loop):
        return _loop(node, scope)
    if isinstance(node, Call):
        return _call(node, scope)
    if isinstance(node, ListNode):
        return _LIST + sum(_cost(item, scope)[0] for item in node.items), Size(
            None, len(node.items)
        )
    if isinstance(node, MapNode):
        parts = sum(_cost(k, scope)[0] + _cost(v, scope)[0] for k, v, _ in node.entries)
        return (_STRUCT if node.name else _MAP) + parts, Size(None, len(node.entries))
    return 1, Size()


def _member(holder: Size, name: str) -> Size:
    schema = holder.schema or {}
    found = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
    return Size(found, length_of(found)) if isinstance(found, dict) else Size()


def _element(holder: Size) -> Size:
    schema = holder.schema or {}
    for field in ("items", "additionalProperties"):
        found = schema.get(field)
        if isinstance(found, dict):
            return Size(found, length_of(found))
    return Size()


def _call(node: Call, scope: _Scope) -> tuple[float, Size]:
    found = [_cost(one, scope) for one in node.operands]
    costs, sizes = [one[0] for one in found], [one[1] for one in found]
    name = node.name
    if name in ("_&&_", "_||_"):
        return sum(costs), Size()
    if name == "_?_:_":
        longer = max(sizes[1:], key=lambda size: size.length or 0)
        return costs[0] + max(costs[1:]), longer
    if name in ("_[_]", "_[?_]"):
        return sum(costs) + 1, _element(sizes[0])
    known = [size.length for size in sizes if size.length is not None]
    return sum(costs) + _own(name, sizes, known), _made(name, sizes, known)


def _own(name: str, sizes: list[Size], known: list[int]) -> float:
    """What a function itself costs."""
    first = sizes[0].length if sizes else None
    second = sizes[1].length if len(sizes) > 1 else None
    if name in _COMPARED:
        return max(math.ceil(min(known) * _TRAVERSAL), 1) if known else 1
    if name == "_+_" and any((size.schema or {}).get("type") == "string" for size in sizes):
        # Of strings; lists are put together at once.
        return max(math.ceil(sum(known) * _TRAVERSAL), 1)
    if name in _PREFIXES:
        return math.ceil((second or 1) * _TRAVERSAL)
    if name in ("matches", "find", "findAll"):
        return math.ceil((1 + (first or 0)) * _TRAVERSAL) * math.ceil((second or 1) * _REGEX)
    if name == "contains":
        return math.ceil((first or 1) * _TRAVERSAL) * math.ceil((second or 1) * _TRAVERSAL)
    if name == "@in":
        schema = sizes[1].schema or {} if len(sizes) > 1 else {}
        return 1 if schema.get("type") == "object" else (second or 1)
    return 1


def _made(name: str, sizes: list[Size], known: list[int]) -> Size:
    """How long the outcome of a function may be."""
    if name in _COMPARED or name in ("@in", "size", "matches", "contains", *_PREFIXES, "!_"):
        return Size()
    if name == "_+_":
        return Size(sizes[0].schema, sum(known) if known else None)
    return Size(None, sizes[0].length if sizes else None)


#: What a turn of a loop costs besides its body: reading and combining what has been found so far.
_TURN: Final = {"all": 3, "exists": 4, "existsOne": 2, "filter": 13, "map": 12}


def _loop(node: Loop, scope: _Scope) -> tuple[float, Size]:
    cost, over = _cost(node.range, scope)
    item: Any = _element(over)
    if node.macro in ("optMap", "optFlatMap"):
        inner = {**scope, node.names[0]: over}
        return cost + 1 + sum(_cost(one, inner)[0] for one in node.body), Size()
    if (over.schema or {}).get("type") == "object" and len(node.names) == 1:
        item = Size()  # keys
    inner = {**scope, **dict.fromkeys(node.names, item)}
    body = sum(_cost(one, inner)[0] for one in node.body)
    turns = over.length if over.length is not None else 1
    start = _LIST if node.macro in ("filter", "map") else 0
    total = cost + start + 1 + turns * (body + _TURN.get(node.macro, 12))
    if node.macro == "filter":
        return total, over
    listed = node.macro in ("map", "transformList", "transformMap", "transformMapEntry")
    return total, Size(None, over.length if listed else None)
