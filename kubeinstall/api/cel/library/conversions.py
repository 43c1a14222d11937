"""Conversions between types, `size`, `type`, optionals."""

from __future__ import annotations

import math
from typing import Any

from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import define
from kubeinstall.api.cel.library.operators import integer, unsigned
from kubeinstall.api.cel.values import (
    NONE,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    UInt,
    double_text,
    equal,
    parse_duration,
    parse_timestamp,
    type_name,
)


@define(
    "size(string)->int", "string.size()->int", "size(bytes)->int", "bytes.size()->int",
    "size(list<A>)->int", "list<A>.size()->int", "size(map<A,B>)->int", "map<A,B>.size()->int",
)  # fmt: skip
def _size(value: Any) -> int:
    return len(value)


@define(
    "int(int)->int", "int(uint)->int", "int(double)->int", "int(string)->int", "int(timestamp)->int"
)
def _int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanos // 10**9
    if isinstance(value, float) and not math.isfinite(value):
        raise EvalError("integer overflow")
    try:
        return integer(int(value))
    except ValueError as error:
        raise EvalError(f'strconv.ParseInt: parsing "{value}": invalid syntax') from error


@define("uint(uint)->uint", "uint(int)->uint", "uint(double)->uint", "uint(string)->uint")
def _uint(value: Any) -> UInt:
    try:
        return unsigned(int(value))
    except (ValueError, OverflowError) as error:
        raise EvalError(f'strconv.ParseUint: parsing "{value}": invalid syntax') from error


@define(
    "double(double)->double",
    "double(int)->double",
    "double(uint)->double",
    "double(string)->double",
)
def _double(value: Any) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise EvalError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from error


@define(
    "string(string)->string", "string(bool)->string", "string(int)->string", "string(uint)->string",
    "string(double)->string", "string(bytes)->string", "string(timestamp)->string",
    "string(duration)->string",
)  # fmt: skip
def _string(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise EvalError("invalid UTF-8 in bytes, cannot convert to string") from error
    if isinstance(value, bool):
        return "true" if value else "false"
    return double_text(value) if isinstance(value, float) else str(value)


@define("bytes(bytes)->bytes", "bytes(string)->bytes")
def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


@define("bool(bool)->bool", "bool(string)->bool")
def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "t", "true", "TRUE", "True", "T"):
        return True
    if value in ("0", "f", "false", "FALSE", "False", "F"):
        return False
    raise EvalError(f'strconv.ParseBool: parsing "{value}": invalid syntax')


@define(
    "timestamp(timestamp)->timestamp", "timestamp(string)->timestamp", "timestamp(int)->timestamp"
)
def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    return parse_timestamp(value) if isinstance(value, str) else Timestamp(value * 10**9)


@define("duration(duration)->duration", "duration(string)->duration", "duration(int)->duration")
def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    return parse_duration(value) if isinstance(value, str) else Duration(value * 10**9)


@define("dyn(A)->dyn")
def _dyn(value: Any) -> Any:
    return value


@define("type(A)->type")
def _type(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


def _of(value: Any) -> Optional:
    return Optional(value, present=True)


_ZEROS: tuple[Any, ...] = (False, 0, "", b"", [], {})


def _optional_functions() -> None:
    from kubeinstall.api.cel import types as t
    from kubeinstall.api.cel.functions import FUNCTIONS, Function, Signature

    def none() -> Optional:
        return NONE

    def non_zero(value: Any) -> Optional:
        empty = value is None or any(equal(value, zero) for zero in _ZEROS)
        return NONE if empty else Optional(value, present=True)

    made = t.optional_of(t.A)
    FUNCTIONS["optional.of"] = Function([Signature(False, (t.A,), made)], _of)
    FUNCTIONS["optional.ofNonZeroValue"] = Function([Signature(False, (t.A,), made)], non_zero)
    FUNCTIONS["optional.none"] = Function([Signature(False, (), made)], none)


_optional_functions()


@define("optional<A>.hasValue()->bool")
def _has_value(value: Optional) -> bool:
    return value.present


@define("optional<A>.value()->A")
def _value(value: Optional) -> Any:
    if not value.present:
        raise EvalError("optional.none() dereference")
    return value.value
