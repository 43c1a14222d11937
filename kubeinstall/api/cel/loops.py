"""Macros that loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubeinstall.api.cel.ast import Loop
from kubeinstall.api.cel.errors import CostExceeded, EvalError, no_overload
from kubeinstall.api.cel.values import NONE, Optional

Frame = list[Any]
Run = Callable[[Frame], Any]


def compile_loop(node: Loop, over: Run, bodies: list[Run]) -> Run:
    """The closure of a macro; `bodies` are its arguments behind the variables."""
    if node.macro in ("optMap", "optFlatMap"):
        return _optional(node, over, bodies[0])
    if node.macro in ("all", "exists"):
        return _quantifier(node, over, bodies[0], decisive=node.macro == "exists")
    test = bodies[0] if len(bodies) == 2 or node.macro in ("filter", "existsOne") else None
    return _COLLECT[node.macro](_turns(node, over), test, bodies[-1])


def _turns(node: Loop, over: Run) -> Callable[[Frame], Iterable[Any]]:
    """Sets the variables for each turn and yields (key or index, value)."""
    slots, size = node.slots, node.size

    def turns(frame: Frame) -> Iterable[Any]:
        found = over(frame)
        if isinstance(found, dict):
            pairs: Iterable[Any] = found.items()
        elif isinstance(found, list):
            pairs = enumerate(found)
        else:
            raise no_overload()
        single = not isinstance(found, list)
        for key, value in pairs:
            frame[0] -= size
            if frame[0] < 0:
                raise CostExceeded
            if len(slots) == 2:
                frame[slots[0]], frame[slots[1]] = key, value
                yield key, value
            else:
                item = key if single else value
                frame[slots[0]] = item
                yield key, item

    return turns


def _optional(node: Loop, over: Run, body: Run) -> Run:
    flat, slot = node.macro == "optFlatMap", node.slots[0]

    def run(frame: Frame) -> Optional:
        found = over(frame)
        if not isinstance(found, Optional):
            raise no_overload()
        if not found.present:
            return NONE
        frame[slot] = found.value
        value = body(frame)
        return value if flat else Optional(value, present=True)

    return run


def _quantifier(node: Loop, over: Run, body: Run, *, decisive: bool) -> Run:
    turns = _turns(node, over)

    def run(frame: Frame) -> bool:
        failed: EvalError | None = None
        for _ in turns(frame):
            try:
                found = body(frame)
            except CostExceeded:
                raise
            except EvalError as error:
                failed = error
                continue
            if found is decisive:
                return bool(decisive)
            if found is not (not decisive):
                failed = no_overload()
        if failed is not None:
            raise failed
        return not decisive

    return run


def _exists_one(turns: Any, test: Run | None, body: Run) -> Run:
    return lambda frame: sum(body(frame) is True for _ in turns(frame)) == 1


def _filter(turns: Any, test: Run | None, body: Run) -> Run:
    return lambda frame: [item for _, item in turns(frame) if _true(body(frame))]


def _map(turns: Any, test: Run | None, body: Run) -> Run:
    if test is None:
        return lambda frame: [body(frame) for _ in turns(frame)]
    return lambda frame: [body(frame) for _ in turns(frame) if _true(test(frame))]


def _transform_map(turns: Any, test: Run | None, body: Run) -> Run:
    return lambda frame: {
        key: body(frame) for key, _ in turns(frame) if test is None or _true(test(frame))
    }


def _transform_entry(turns: Any, test: Run | None, body: Run) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in turns(frame):
            if test is not None and not _true(test(frame)):
                continue
            for key, value in body(frame).items():
                if key in found:
                    raise EvalError(f"insert failed: key {key} already exists")
                found[key] = value
        return found

    return run


def _true(value: Any) -> bool:
    if value is True or value is False:
        return value is True
    raise no_overload()


_COLLECT: dict[str, Callable[[Any, Run | None, Run], Run]] = {
    "existsOne": _exists_one,
    "filter": _filter,
    "map": _map,
    "transformList": _map,
    "transformMap": _transform_map,
    "transformMapEntry": _transform_entry,
}
