"""Lists (Kubernetes' and CEL's extension) and sets."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import FUNCTIONS, Function, Signature, define
from kubeinstall.api.cel.library.operators import integer
from kubeinstall.api.cel.values import Duration, equal, less

_ORDERED = ("int", "uint", "double", "bool", "string", "bytes", "duration", "timestamp")
_SUMMED = ("int", "uint", "double", "duration")


def _each(template: str, kinds: tuple[str, ...]) -> list[str]:
    return [template.replace("T", kind) for kind in kinds]


@define(*_each("list<T>.isSorted()->bool", _ORDERED))
def _is_sorted(items: list[Any]) -> bool:
    return not any(less(after, before) for before, after in itertools.pairwise(items))


@define(*_each("list<T>.sum()->T", _SUMMED))
def _sum(items: list[Any]) -> Any:
    if items and isinstance(items[0], Duration):
        return Duration(integer(sum(item.nanos for item in items)))
    if items and isinstance(items[0], float):
        return float(sum(items))
    return type(items[0])(integer(sum(items))) if items else 0


@define(*_each("list<T>.min()->T", _ORDERED))
def _min(items: list[Any]) -> Any:
    if not items:
        raise EvalError("min called on empty list")
    return functools.reduce(lambda one, other: other if less(other, one) else one, items)


@define(*_each("list<T>.max()->T", _ORDERED))
def _max(items: list[Any]) -> Any:
    if not items:
        raise EvalError("max called on empty list")
    return functools.reduce(lambda one, other: other if less(one, other) else one, items)


@define("list<A>.indexOf(A)->int")
def _index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if equal(item, wanted)), -1)


@define("list<A>.lastIndexOf(A)->int")
def _last_index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if equal(items[i], wanted)), -1)


@define("list<A>.distinct()->list<A>")
def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(equal(item, known) for known in found):
            found.append(item)
    return found


@define("list<A>.flatten()->list<dyn>", "list<A>.flatten(int)->list<dyn>")
def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvalError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth > 0:
            found.extend(_flatten(item, depth - 1))
        else:
            found.append(item)
    return found


@define("list<A>.reverse()->list<A>")
def _reverse(items: list[Any]) -> list[Any]:
    return items[::-1]


@define("list<A>.slice(int,int)->list<A>")
def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0 or start > end or end > len(items):
        raise EvalError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


@define(*_each("list<T>.sort()->list<T>", _ORDERED))
def _sort(items: list[Any]) -> list[Any]:
    def order(one: Any, other: Any) -> int:
        return -1 if less(one, other) else int(less(other, one))

    return sorted(items, key=functools.cmp_to_key(order))


def _in(item: Any, items: list[Any]) -> bool:
    return any(equal(item, found) for found in items)


def _contains(items: list[Any], wanted: list[Any]) -> bool:
    return all(_in(item, items) for item in wanted)


def _equivalent(one: list[Any], other: list[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: list[Any], other: list[Any]) -> bool:
    return any(_in(item, other) for item in one)


@define("lists_range(int)->list<int>")
def _range(size: int) -> list[int]:
    if size > 1_000_000:
        raise EvalError("the list is too long")
    return list(range(size))


def _register() -> None:
    lists = (t.list_of(t.A), t.list_of(t.A))
    for name, run in (
        ("contains", _contains),
        ("equivalent", _equivalent),
        ("intersects", _intersects),
    ):
        FUNCTIONS[f"sets.{name}"] = Function([Signature(False, lists, t.BOOL)], run)
    FUNCTIONS["lists.range"] = FUNCTIONS.pop("lists_range")


_register()
