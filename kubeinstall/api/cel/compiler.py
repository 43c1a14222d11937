"""From a checked tree to closures: `run(frame) -> value`.

A frame is a list: `frame[0]` is what may still be spent, the rest are variables by slot. Only loops and
functions over long values can take time, so only they spend: a turn of a loop costs the size of its body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.ast import Call, Const, Ident, ListNode, MapNode, Node, Select
from kubeinstall.api.cel.ast import Loop as LoopNode
from kubeinstall.api.cel.errors import CostExceeded, EvalError, no_overload
from kubeinstall.api.cel.functions import FUNCTIONS
from kubeinstall.api.cel.loops import compile_loop
from kubeinstall.api.cel.schema import RESERVED
from kubeinstall.api.cel.values import (
    NONE,
    Optional,
    UInt,
    equal,
    less,
    parse_duration,
    parse_timestamp,
)

Frame = list[Any]
Run = Callable[[Frame], Any]
_MISSING = object()
_SIMPLE = ("int", "string", "bool", "uint", "bytes")


def compile_node(node: Node) -> Run:
    """The closure of a node."""
    return _COMPILERS[type(node)](node)


def size_of(node: Node) -> int:
    """How many nodes a tree has: what evaluating it once costs at most, loops apart."""
    if isinstance(node, Select):
        return 1 + size_of(node.operand)
    if isinstance(node, Call):
        return 1 + sum(map(size_of, node.operands))
    if isinstance(node, ListNode):
        return 1 + sum(map(size_of, node.items))
    if isinstance(node, MapNode):
        return 1 + sum(size_of(key) + size_of(value) for key, value, _ in node.entries)
    if isinstance(node, LoopNode):
        return 1 + size_of(node.range) + sum(map(size_of, node.body))
    return 1


def coerced(run: Run, wanted: t.Type) -> Run:
    """JSON has no doubles, bytes, timestamps or durations: make them where the schema says so."""
    convert = _FROM_JSON.get(wanted.name)
    if convert is None:
        return run

    def converted(frame: Frame) -> Any:
        return convert(run(frame))

    return converted


def _double(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _timestamp(value: Any) -> Any:
    return parse_timestamp(value) if type(value) is str else value


def _duration(value: Any) -> Any:
    return parse_duration(value) if type(value) is str else value


def _bytes(value: Any) -> Any:
    import base64

    return base64.b64decode(value) if type(value) is str else value


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "double": _double,
    t.TIMESTAMP.name: _timestamp,
    t.DURATION.name: _duration,
    "bytes": _bytes,
}


def _const(node: Const) -> Run:
    value = node.value
    return lambda _frame: value


def _ident(node: Ident) -> Run:
    if node.slot < 0:
        value = node.value
        return lambda _frame: value
    slot = node.slot

    def variable(frame: Frame) -> Any:
        value = frame[slot]
        return value.get(frame) if isinstance(value, Lazy) else value

    return variable


class Lazy:
    """A variable that is computed when first used, with the frame's budget."""

    __slots__ = ("_error", "_run", "_value")

    def __init__(self, run: Run) -> None:
        self._run: Run | None = run
        self._value: Any = None
        self._error: EvalError | None = None

    def get(self, frame: Frame) -> Any:
        """The value. Raises what computing it raised, each time."""
        run, self._run = self._run, None
        if run is not None:
            try:
                self._value = run(frame)
            except EvalError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._value


def _select(node: Select) -> Run:
    if node.slot >= 0:
        ident = Ident(node.pos, node.name)
        ident.slot = node.slot
        return _ident(ident)
    operand, name = compile_node(node.operand), unescape(node)
    if node.test:
        return lambda frame: _has(operand(frame), name)
    if node.optional or node.operand.type.name == "optional_type":
        return lambda frame: _optional_field(operand(frame), name)

    def select(frame: Frame) -> Any:
        holder = operand(frame)
        try:
            return holder[name]
        except KeyError:
            raise EvalError(f"no such key: {name}") from None
        except (TypeError, IndexError):
            return _optional_field(holder, name) if isinstance(holder, Optional) else _fail(holder)

    return coerced(select, node.type)


def _fail(_holder: Any) -> Any:
    raise no_overload()


def unescape(node: Select) -> str:
    """The property that a field's name stands for."""
    if "__" not in node.name or not node.operand.type.is_object:
        return node.name
    inner = node.name[2:-2]
    if inner in RESERVED and node.name == f"__{inner}__":
        return inner
    return _ESCAPES.sub(lambda match: _ESCAPED[match.group()], node.name)


_ESCAPED = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_ESCAPES = re.compile("|".join(_ESCAPED))


def _has(holder: Any, name: str) -> bool:
    if isinstance(holder, Optional):
        return holder.present and _has(holder.value, name)
    if not isinstance(holder, dict):
        raise no_overload()
    return holder.get(name) is not None


def _optional_field(holder: Any, key: Any) -> Optional:
    if isinstance(holder, Optional):
        if not holder.present:
            return NONE
        holder = holder.value
    if isinstance(holder, dict):
        value = holder.get(key, _MISSING)
        return NONE if value is _MISSING else Optional(value, present=True)
    if isinstance(holder, list) and type(key) is int:
        return Optional(holder[key], present=True) if 0 <= key < len(holder) else NONE
    raise no_overload()


def _call(node: Call) -> Run:
    special = _SPECIAL.get(node.name)
    if special is not None:
        return special(node)
    run = FUNCTIONS[node.name].run
    operands = [compile_node(one) for one in node.operands]
    if len(operands) == 1:
        (only,) = operands
        return lambda frame: run(only(frame))
    if len(operands) == 2 and not _long(node):
        one, other = operands
        return lambda frame: run(one(frame), other(frame))

    def call(frame: Frame) -> Any:
        args = [operand(frame) for operand in operands]
        spend(frame, sum(len(arg) for arg in args if isinstance(arg, str | list | bytes)) // 10)
        return run(*args)

    return call


def _long(node: Call) -> bool:
    """Whether an argument may be long, so that the function may take time."""
    return any(one.type.name in ("string", "list", "bytes", "dyn") for one in node.operands)


def spend(frame: Frame, cost: int) -> None:
    """Take from the budget. Raises `CostExceeded`."""
    frame[0] -= cost
    if frame[0] < 0:
        raise CostExceeded


def _and(node: Call) -> Run:
    return _junction(node, False)


def _or(node: Call) -> Run:
    return _junction(node, True)


def _junction(node: Call, decisive: bool) -> Run:
    """&& and ||: an error on one side is forgiven when the other side decides."""
    one, other = map(compile_node, node.args)

    def junction(frame: Frame) -> bool:
        try:
            left = one(frame)
        except CostExceeded:
            raise
        except EvalError:
            if other(frame) is decisive:
                return bool(decisive)
            raise
        if left is decisive:
            return bool(decisive)
        right = other(frame)
        if right is decisive:
            return bool(decisive)
        if left is not (not decisive) or right is not (not decisive):
            raise no_overload()
        return not decisive

    return junction


def _ternary(node: Call) -> Run:
    test, then, other = map(compile_node, node.args)

    def ternary(frame: Frame) -> Any:
        found = test(frame)
        if found is True:
            return then(frame)
        if found is False:
            return other(frame)
        raise no_overload()

    return ternary


def _equality(node: Call) -> Run:
    one, other = map(compile_node, node.args)
    wanted = node.name == "_==_"
    left, right = (arg.type.name for arg in node.args)
    if left == right and left in _SIMPLE:
        if wanted:
            return lambda frame: one(frame) == other(frame)
        return lambda frame: one(frame) != other(frame)
    return lambda frame: equal(one(frame), other(frame)) is wanted


def _comparison(node: Call) -> Run:
    one, other = map(compile_node, node.args)
    name = node.name
    if {arg.type.name for arg in node.args} <= {"int", "uint", "double"}:
        if name == "_<_":
            return lambda frame: bool(one(frame) < other(frame))
        if name == "_<=_":
            return lambda frame: bool(one(frame) <= other(frame))
        if name == "_>_":
            return lambda frame: bool(one(frame) > other(frame))
        return lambda frame: bool(one(frame) >= other(frame))
    if name == "_<_":
        return lambda frame: less(one(frame), other(frame))
    if name == "_>_":
        return lambda frame: less(other(frame), one(frame))
    if name == "_<=_":
        return lambda frame: _less_or_equal(one(frame), other(frame))
    return lambda frame: _less_or_equal(other(frame), one(frame))


def _less_or_equal(one: Any, other: Any) -> bool:
    return less(one, other) or equal(one, other)


def _membership(node: Call) -> Run:
    one, other = map(compile_node, node.args)

    def contains(frame: Frame) -> bool:
        item, holder = one(frame), other(frame)
        if isinstance(holder, dict):
            return not isinstance(item, dict | list) and any(
                equal(item, key) for key in ((item,) if item in holder else ())
            )
        if not isinstance(holder, list):
            raise no_overload()
        spend(frame, len(holder))
        return any(equal(item, found) for found in holder)

    return contains


def _index(node: Call) -> Run:
    one, other = map(compile_node, node.args)
    if node.name == "_[?_]" or node.args[0].type.name == "optional_type":
        return lambda frame: _optional_field(one(frame), other(frame))

    def index(frame: Frame) -> Any:
        holder, key = one(frame), other(frame)
        if isinstance(holder, dict):
            try:
                return holder[key]
            except (KeyError, TypeError):
                raise EvalError(f"no such key: {key}") from None
        if isinstance(holder, Optional):
            return _optional_field(holder, key)
        if not isinstance(holder, list):
            raise no_overload()
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, bool) or not isinstance(key, int):
            raise no_overload()
        if not 0 <= key < len(holder):
            raise EvalError(f"index out of bounds: {key}")
        return holder[key]

    return coerced(index, node.type)


def _or_value(node: Call) -> Run:
    one, other = map(compile_node, node.operands)
    whole = node.name == "or"

    def or_value(frame: Frame) -> Any:
        found = one(frame)
        if not isinstance(found, Optional):
            raise no_overload()
        if not found.present:
            return other(frame)
        return found if whole else found.value

    return or_value


def _negation(node: Call) -> Run:
    (operand,) = map(compile_node, node.args)

    def negation(frame: Frame) -> bool:
        found = operand(frame)
        if found is True:
            return False
        if found is False:
            return True
        raise no_overload()

    return negation


def _listnode(node: ListNode) -> Run:
    items = [(compile_node(item), index in node.optional) for index, item in enumerate(node.items)]
    if all(isinstance(item, Const) for item in node.items) and not node.optional:
        values = [item.value for item in node.items if isinstance(item, Const)]
        return lambda _frame: values

    def make(frame: Frame) -> list[Any]:
        found = []
        for item, optional in items:
            value = item(frame)
            if optional:
                if value.present:
                    found.append(value.value)
            else:
                found.append(value)
        return found

    return make


def _mapnode(node: MapNode) -> Run:
    entries = [(compile_node(k), compile_node(v), optional) for k, v, optional in node.entries]

    def make(frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_run, value_run, optional in entries:
            key, value = key_run(frame), value_run(frame)
            if not isinstance(key, str | int | UInt):
                raise EvalError("unsupported key type")
            if optional:
                if not value.present:
                    continue
                value = value.value
            if key in found:
                raise EvalError(f"insert failed: key {key} already exists")
            found[key] = value
        return found

    return make


def _loop(node: LoopNode) -> Run:
    node.size = 1 + sum(map(size_of, node.body))
    bodies = [compile_node(one) for one in node.body]
    return compile_loop(node, compile_node(node.range), bodies)


_SPECIAL: dict[str, Callable[[Call], Run]] = {
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _ternary,
    "_==_": _equality,
    "_!=_": _equality,
    "_<_": _comparison,
    "_<=_": _comparison,
    "_>_": _comparison,
    "_>=_": _comparison,
    "@in": _membership,
    "_[_]": _index,
    "_[?_]": _index,
    "!_": _negation,
    "orValue": _or_value,
    "or": _or_value,
}
_COMPILERS: dict[type, Callable[[Any], Run]] = {
    Const: _const,
    Ident: _ident,
    Select: _select,
    Call: _call,
    ListNode: _listnode,
    MapNode: _mapnode,
    LoopNode: _loop,
}
