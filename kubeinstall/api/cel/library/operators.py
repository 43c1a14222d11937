"""Arithmetic. Operators that never reach a table at run time are declared for the checker alone."""

from __future__ import annotations

import math
from typing import Any

from kubeinstall.api.cel.errors import EvalError, no_overload
from kubeinstall.api.cel.functions import define
from kubeinstall.api.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    UInt,
)


def integer(value: int) -> int:
    """Within 64 bits, or an error."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvalError("integer overflow")


def unsigned(value: int) -> UInt:
    """Within 64 bits and not negative, or an error."""
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvalError("unsigned integer overflow")


def _result(one: Any, value: int) -> int:
    return unsigned(value) if isinstance(one, UInt) else integer(value)


@define(
    "_+_(int,int)->int", "_+_(uint,uint)->uint", "_+_(double,double)->double",
    "_+_(string,string)->string", "_+_(bytes,bytes)->bytes", "_+_(list<A>,list<A>)->list<A>",
    "_+_(duration,duration)->duration", "_+_(duration,timestamp)->timestamp",
    "_+_(timestamp,duration)->timestamp",
)  # fmt: skip
def _add(one: Any, other: Any) -> Any:
    if isinstance(one, Duration | Timestamp):
        kind = Timestamp if isinstance(one, Timestamp) or isinstance(other, Timestamp) else Duration
        return kind(integer(one.nanos + other.nanos))
    if isinstance(one, int):
        return _result(one, one + other)
    return one + other


@define(
    "_-_(int,int)->int", "_-_(uint,uint)->uint", "_-_(double,double)->double",
    "_-_(duration,duration)->duration", "_-_(timestamp,timestamp)->duration",
    "_-_(timestamp,duration)->timestamp",
)  # fmt: skip
def _subtract(one: Any, other: Any) -> Any:
    if isinstance(one, Timestamp):
        kind = Duration if isinstance(other, Timestamp) else Timestamp
        return kind(integer(one.nanos - other.nanos))
    if isinstance(one, Duration):
        return Duration(integer(one.nanos - other.nanos))
    return _result(one, one - other) if isinstance(one, int) else one - other


@define("_*_(int,int)->int", "_*_(uint,uint)->uint", "_*_(double,double)->double")
def _multiply(one: Any, other: Any) -> Any:
    return _result(one, one * other) if isinstance(one, int) else one * other


@define("_/_(int,int)->int", "_/_(uint,uint)->uint", "_/_(double,double)->double")
def _divide(one: Any, other: Any) -> Any:
    if isinstance(one, float):
        if other == 0:
            return (
                math.nan
                if one == 0 or math.isnan(one)
                else math.copysign(math.inf, one) * math.copysign(1, other)
            )
        return one / other
    if other == 0:
        raise EvalError("division by zero")
    quotient = abs(one) // abs(other)
    return _result(one, quotient if (one < 0) == (other < 0) else -quotient)


@define("_%_(int,int)->int", "_%_(uint,uint)->uint")
def _modulo(one: Any, other: Any) -> Any:
    if other == 0:
        raise EvalError("modulus by zero")
    rest = abs(one) % abs(other)
    return _result(one, -rest if one < 0 else rest)


@define("-_(int)->int", "-_(double)->double")
def _negate(value: Any) -> Any:
    return integer(-value) if isinstance(value, int) else -value


@define("_==_(A,A)->bool", "_!=_(A,A)->bool")
@define("_&&_(bool,bool)->bool", "_||_(bool,bool)->bool", "!_(bool)->bool")
@define("_?_:_(bool,A,A)->A", "@in(A,list<A>)->bool", "@in(A,map<A,B>)->bool")
@define("_[_](list<A>,int)->A", "_[_](map<A,B>,A)->B")
@define("_[_](optional<list<A>>,int)->optional<A>", "_[_](optional<map<A,B>>,A)->optional<B>")
@define("_[?_](list<A>,int)->optional<A>", "_[?_](map<A,B>,A)->optional<B>")
@define("_[?_](optional<list<A>>,int)->optional<A>", "_[?_](optional<map<A,B>>,A)->optional<B>")
@define("optional<A>.orValue(A)->A", "optional<A>.or(optional<A>)->optional<A>")
def _compiled(*_args: Any) -> Any:
    raise no_overload()  # the compiler makes its own closures for these


def _declare_comparisons() -> None:
    numbers = ("int", "uint", "double")
    for operator in ("_<_", "_<=_", "_>_", "_>=_"):
        pairs = [(one, other) for one in numbers for other in numbers]
        pairs += [(one, one) for one in ("bool", "string", "bytes", "timestamp", "duration")]
        define(*(f"{operator}({one},{other})->bool" for one, other in pairs))(_compiled)


_declare_comparisons()
