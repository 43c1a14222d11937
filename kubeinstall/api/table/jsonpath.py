"""The JSONPath dialect of Kubernetes: printer columns and `kubectl -o jsonpath` expressions' core.

Supported: `.field`, `['field']`, `[0]`, `[-1]`, `[1:3:1]`, `[*]`, `.*`, `..field`, unions `['a','b']`,
filters `[?(@.type=="Ready")]` with ==, !=, <, <=, >, >= and existence.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

Step = Callable[[Any], Iterator[Any]]

_FIELD: Final = re.compile(r"\.?((?:\\.|[^.\[\]\\])+)")
_FILTER: Final = re.compile(
    r"^@(?P<left>[^=!<>]*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>.+))?$"
)
_SLICE: Final = re.compile(r"^(-?\d*):(-?\d*)(?::(-?\d+))?$")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class JSONPathError(ValueError):
    """The expression cannot be read."""


def find(expression: str, value: Any) -> list[Any]:
    """All values the expression selects; missing fields select nothing. Raises JSONPathError."""
    found = [value]
    for step in compile_path(expression):
        found = [each for before in found for each in step(before)]
    return found


@lru_cache(maxsize=1024)
def compile_path(expression: str) -> tuple[Step, ...]:
    """The steps of an expression, with or without the `{}` or `$` around it. Raises JSONPathError."""
    text = expression.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    steps: list[Step] = []
    while text:
        step, text = _next(text)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _next(text: str) -> tuple[Step | None, str]:
    if text.startswith(".."):
        match = _FIELD.match(text[2:])
        if match is None:
            raise JSONPathError(f"nothing after ..: {text}")
        return _recursive(_unescape(match[1])), text[2 + match.end() :]
    if text == ".":
        return None, ""
    if text.startswith("["):
        end = _closing(text)
        return _bracket(text[1:end].strip()), text[end + 1 :]
    match = _FIELD.match(text)
    if match is None:
        raise JSONPathError(f"unrecognized: {text}")
    name = _unescape(match[1])
    return (_every if name == "*" else _field(name)), text[match.end() :]


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _closing(text: str) -> int:
    depth, quote = 0, ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
            if not depth:
                return index
    raise JSONPathError(f"unterminated array: {text}")


def _bracket(inside: str) -> Step:
    if inside == "*":
        return _every
    if inside.startswith("?(") and inside.endswith(")"):
        return _filter(inside[2:-1].strip())
    parts = [part.strip() for part in _split(inside)]
    steps = [_item(part) for part in parts]
    if len(steps) == 1:
        return steps[0]

    def union(value: Any) -> Iterator[Any]:
        for step in steps:
            yield from step(value)

    return union


def _split(inside: str) -> list[str]:
    return re.findall(r"'[^']*'|\"[^\"]*\"|[^,]+", inside)


def _item(part: str) -> Step:
    if part[:1] in ("'", '"'):
        return _field(part[1:-1])
    if match := _SLICE.match(part):
        start, stop, step = (int(each) if each else None for each in match.groups())
        return _slice(slice(start, stop, step))
    try:
        index = int(part)
    except ValueError:
        raise JSONPathError(f"invalid array index {part}") from None
    return _index(index)


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _slice(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _index(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _recursive(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if name in value:
                yield value[name]
            for each in value.values():
                yield from step(each)
        elif isinstance(value, list):
            for each in value:
                yield from step(each)

    return step


def _filter(text: str) -> Step:
    match = _FILTER.match(text)
    if match is None:
        raise JSONPathError(f"unrecognized filter: {text}")
    path = match["left"].strip()
    steps = compile_path(path)
    compare = _COMPARE[match["op"]] if match["op"] else None
    wanted = _literal(match["right"].strip()) if match["op"] else None

    def step(value: Any) -> Iterator[Any]:
        for each in value if isinstance(value, list) else ():
            found = [each]
            for part in steps:
                found = [below for before in found for below in part(before)]
            if found and (compare is None or _holds(compare, found[0], wanted)):
                yield each

    return step


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise JSONPathError(f"not a value: {text}") from None


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False
