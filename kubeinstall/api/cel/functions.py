"""Tables of functions: signatures for the checker, implementations for the compiler.

    @define("string.startsWith(string)->bool")           # member function
    @define("size(string)->int", "string.size()->int")   # both
Types: int uint double bool string bytes null timestamp duration dyn type, list<T>, map<K,V>,
optional<T>, the parameters A and B, and names of opaque types.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from kubeinstall.api.cel import types as t

Implementation = Callable[..., Any]


class Signature(NamedTuple):
    """One overload; `member` says that the first argument is the target."""

    member: bool
    args: tuple[t.Type, ...]
    result: t.Type


class Function(NamedTuple):
    """All overloads of a name. `sized` functions cost as much as their arguments are long."""

    signatures: list[Signature]
    run: Implementation


FUNCTIONS: dict[str, Function] = {}
#: Implementations for other types of target under a name: chosen by Python type.
_SIGNATURE = re.compile(
    r"(?:(?P<target>[\w.<>,]+)\.)?(?P<name>[\w@!?\[\]<>=&|+*/%:-]+)\((?P<args>.*)\)->(?P<result>.+)"
)
_PLAIN = {
    "int": t.INT, "uint": t.UINT, "double": t.DOUBLE, "bool": t.BOOL, "string": t.STRING,
    "bytes": t.BYTES, "null": t.NULL, "dyn": t.DYN, "timestamp": t.TIMESTAMP,
    "duration": t.DURATION,
}  # fmt: skip


def read_type(text: str) -> t.Type:
    """`map<string,list<A>>` → Type."""
    name, _, rest = text.partition("<")
    if not rest:
        return _PLAIN.get(name) or (t.type_of(t.DYN) if name == "type" else t.Type(name))
    params = tuple(read_type(one) for one in _split(rest[:-1]))
    return t.Type("optional_type" if name == "optional" else name, params)


def _split(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            parts.append(text[last:index])
            last = index + 1
    tail = text[last:]
    return [*parts, tail] if tail else parts


def define(*signatures: str) -> Callable[[Implementation], Implementation]:
    """Register an implementation. One name may be defined several times: the first implementation
    whose declared types fit the values runs (`fits`)."""

    def register(run: Implementation) -> Implementation:
        for text in signatures:
            match = _SIGNATURE.fullmatch(text.replace(" ", ""))
            if match is None:
                raise ValueError(f"not a signature: {text}")
            args = [read_type(one) for one in _split(match["args"])]
            if match["target"]:
                args.insert(0, read_type(match["target"]))
            signature = Signature(bool(match["target"]), tuple(args), read_type(match["result"]))
            known = FUNCTIONS.get(match["name"])
            if known is None:
                FUNCTIONS[match["name"]] = Function([signature], _Dispatch([(signature, run)]))
            else:
                known.signatures.append(signature)
                known.run.choices.append((signature, run))  # type: ignore[attr-defined] # is a _Dispatch
        return run

    return register


class _Dispatch:
    """Runs the implementation whose signature fits the values."""

    def __init__(self, choices: list[tuple[Signature, Implementation]]) -> None:
        self.choices = choices

    def __call__(self, *args: Any) -> Any:
        from kubeinstall.api.cel.errors import no_overload

        for signature, run in self.choices:
            if len(signature.args) == len(args) and all(map(fits, signature.args, args)):
                return run(*args)
        raise no_overload()


def fits(wanted: t.Type, value: Any) -> bool:
    """Whether a value is of a type, as far as dispatch needs to know."""
    from kubeinstall.api.cel.values import type_name

    if wanted.is_param or wanted.name == "dyn":
        return True
    found = type_name(value)
    return found == wanted.name or (wanted.name == "null" and value is None)
