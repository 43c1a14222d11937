"""`string.format(list)` and Kubernetes' named formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import FUNCTIONS, Function, Signature, define
from kubeinstall.api.cel.values import NONE, Optional, TypeValue, double_text, type_name

_F = "kubernetes.NamedFormat"
_CLAUSE = re.compile(r"%(?:\.(\d+))?(.)", re.DOTALL)


@define("string.format(list<dyn>)->string")
def _format(text: str, args: list[Any]) -> str:
    position = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal position
        precision, verb = match.groups()
        if verb == "%":
            return "%"
        if position >= len(args):
            raise EvalError(f"index {position} out of range")
        value = args[position]
        position += 1
        return _verb(verb, value, None if precision is None else int(precision))

    return _CLAUSE.sub(replace, text)


def _verb(verb: str, value: Any, precision: int | None) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb == "s":
        return _shown(value)
    if verb == "d" and number:
        return _shown(value)
    if verb in "feE" and number:
        digits = 6 if precision is None else min(precision, 100)
        return f"{float(value):.{digits}{verb}}"
    if verb == "b" and isinstance(value, int):
        return format(int(value), "b")
    if verb == "o" and number and isinstance(value, int):
        return format(value, "o")
    if verb in "xX":
        return _hexadecimal(verb, value)
    raise EvalError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _hexadecimal(verb: str, value: Any) -> str:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, int):
        text = format(value, "x")
    else:
        raise EvalError("only integers, byte buffers, and strings can be formatted as hex")
    return text.upper() if verb == "X" else text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, TypeValue):
        return value.name
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        pairs = sorted((_shown(key), _shown(item)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
    if type_name(value) in (
        "string",
        "int",
        "uint",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
    ):
        return str(value)
    raise EvalError(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists"
    )


@dataclass(frozen=True, slots=True)
class FormatValue:
    """A named format: `check(text)` returns what is wrong."""

    cel_type: ClassVar[str] = _F
    name: str


def _checks() -> dict[str, Callable[[str], list[str]]]:
    from kubeinstall.api.custom.formats import format_error
    from kubeinstall.api.validation import formats

    def by_name(name: str) -> Callable[[str], list[str]]:
        return lambda text: [f"invalid {name}"] if format_error(name, text) else []

    found: dict[str, Callable[[str], list[str]]] = {
        "dns1123Label": formats.dns1123_label,
        "dns1123Subdomain": formats.dns1123_subdomain,
        "dns1035Label": formats.dns1035_label,
        "qualifiedName": formats.qualified_name,
        "labelValue": formats.label_value,
        "dns1123LabelPrefix": lambda text: formats.dns1123_label(text.removesuffix("-")),
        "dns1123SubdomainPrefix": lambda text: formats.dns1123_subdomain(text.removesuffix("-")),
        "dns1035LabelPrefix": lambda text: formats.dns1035_label(text.removesuffix("-")),
    }
    for name in ("uri", "uuid", "byte", "date", "datetime"):
        found[name] = by_name("date-time" if name == "datetime" else name)
    return found


_NAMES = (
    "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "labelValue",
    "dns1123LabelPrefix", "dns1123SubdomainPrefix", "dns1035LabelPrefix", "uri", "uuid", "byte",
    "date", "datetime",
)  # fmt: skip


def _named(name: str) -> Optional:
    return Optional(FormatValue(name), present=True) if name in _NAMES else NONE


def _maker(name: str) -> Callable[[], FormatValue]:
    return lambda: FormatValue(name)


FUNCTIONS["format.named"] = Function(
    [Signature(False, (t.STRING,), t.optional_of(t.Type(_F)))], _named
)
for _name in _NAMES:
    FUNCTIONS[f"format.{_name}"] = Function([Signature(False, (), t.Type(_F))], _maker(_name))


@define(f"{_F}.validate(string)->optional<list<string>>")
def _validate(found: FormatValue, text: str) -> Optional:
    problems = _checks()[found.name](text)
    return Optional(list(problems), present=True) if problems else NONE
