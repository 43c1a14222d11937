"""Values at run time, beside Python's int, float, str, bytes, bool, list, dict and None."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import total_ordering
from typing import Any

from kubeinstall.api.cel.errors import EvalError

INT_MIN, INT_MAX, UINT_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


class UInt(int):
    """An unsigned 64-bit integer."""

    __slots__ = ()


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """A signed span of nanoseconds."""

    nanos: int

    def __lt__(self, other: Duration) -> bool:
        return self.nanos < other.nanos

    def __str__(self) -> str:
        sign = "-" if self.nanos < 0 else ""
        seconds, rest = divmod(abs(self.nanos), 1_000_000_000)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{sign}{seconds}{fraction}s"


@total_ordering
@dataclass(frozen=True, slots=True)
class Timestamp:
    """A moment, in nanoseconds since 1970."""

    nanos: int

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanos < other.nanos

    def at(self, zone: Any = UTC) -> datetime:
        """The moment in a time zone (to the microsecond)."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return (epoch + timedelta(microseconds=self.nanos // 1000)).astimezone(zone)

    def __str__(self) -> str:
        seconds, rest = divmod(self.nanos, 1_000_000_000)
        base = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime(
            "%Y-%m-%dT%H:%M:%S"
        )
        base = base.rjust(19, "0")
        return base + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


@dataclass(frozen=True, slots=True)
class Optional:
    """A value or nothing."""

    value: Any = None
    present: bool = False


NONE = Optional()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: `type(1) == int`."""

    name: str


_UNITS = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_DURATION = re.compile(r"([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)"
)


def parse_duration(text: str) -> Duration:
    """Go's `time.ParseDuration`. Raises `EvalError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise EvalError(f'time: invalid duration "{text}"')
    from decimal import Decimal

    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(match[2]))
    return Duration(-total if match[1] == "-" else total)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339, or a date alone (formats date and date-time of schemas). Raises `EvalError`."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text += "T00:00:00Z"
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise EvalError(f'parsing time "{text}" as RFC3339: cannot parse')
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.strptime(f"{day}T{clock}", "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise EvalError(f'parsing time "{text}": {error}') from error
    if zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        moment -= sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return Timestamp(seconds * 10**9 + int((fraction or "0").ljust(9, "0")))


def parse_zone(text: str) -> Any:
    """A time zone by name or offset. Raises `EvalError`."""
    from zoneinfo import ZoneInfo

    match = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", text)
    if match:
        span = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-span if match[1] == "-" else span)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise EvalError(f"unknown time zone {text}") from error


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def equal(one: Any, other: Any) -> bool:
    """`==` of CEL: numbers across types, everything else only within its type."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(
            key in other and equal(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Optional) and isinstance(other, Optional):
        return one.present == other.present and equal(one.value, other.value)
    return bool(_kind(one) == _kind(other) and one == other)


def less(one: Any, other: Any) -> bool:
    """`<`, for values of one order. Raises `EvalError`."""
    if _kind(one) != _kind(other) or isinstance(one, dict | list) or one is None:
        raise EvalError("no such overload")
    try:
        return bool(one < other)
    except TypeError as error:
        raise EvalError("no such overload") from error


def type_name(value: Any) -> str:
    """The name of a value's type."""
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return getattr(value, "cel_type", "null_type" if value is None else type(value).__name__)


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (UInt, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (Timestamp, "google.protobuf.Timestamp"),
    (Duration, "google.protobuf.Duration"),
    (TypeValue, "type"),
    (Optional, "optional_type"),
)


def double_text(value: float) -> str:
    """A double as Go's %g prints it at full precision."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        mantissa, exponent = text.split("e")
        mantissa = mantissa.removesuffix(".0")
        number = int(exponent)
        return f"{mantissa}e{'-' if number < 0 else '+'}{abs(number):02d}"
    return text.removesuffix(".0")
