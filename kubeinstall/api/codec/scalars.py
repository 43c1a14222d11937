"""Scalars with a form of their own: quantities, times, int-or-strings, bytes, numbers.

Each function takes a JSON value and returns the value that Go would encode after decoding it; it
raises `Mismatch` when Go would refuse. `explain` then finds Go's words for it.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Any, Final

from kubeinstall.api import times
from kubeinstall.api.quantity import Quantity, QuantityError


class Mismatch(Exception):
    """The value is not of the type; `message` is Go's when it does not depend on the field."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


_MISMATCH: Final = Mismatch
_INT32: Final = 2**31
_INT64: Final = 2**63
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
#: Go prints a float as an integer up to here.
_PLAIN_FLOAT: Final = 1e21


def string(value: Any) -> str:
    """A string; null is the empty one."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise _MISMATCH


def boolean(value: Any) -> bool:
    """A boolean; null is false."""
    if value is True or value is False:
        return bool(value)
    if value is None:
        return False
    raise _MISMATCH


def int32(value: Any) -> int:
    """A 32-bit integer; null is 0."""
    if type(value) is int and -_INT32 <= value < _INT32:
        return value
    if value is None:
        return 0
    raise _MISMATCH


def int64(value: Any) -> int:
    """A 64-bit integer; null is 0."""
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if value is None:
        return 0
    raise _MISMATCH


def number(value: Any) -> int | float:
    """A float64, written as Go writes it: without a fraction when it has none."""
    if type(value) is int:
        return value if abs(value) < 2**53 else number(float(value))
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < _PLAIN_FLOAT else value
    if value is None:
        return 0
    raise _MISMATCH


def raw(value: Any) -> Any:
    """Any JSON, as it came."""
    return value


def quantity(value: Any) -> str:
    """A quantity in canonical form; null is 0."""
    kind = type(value)
    if kind is str:
        return _quantity(value.strip())
    if kind is int or kind is float:
        return _quantity(str(value))
    if value is None:
        return "0"
    raise Mismatch(str(_quantity_error("{")))


@lru_cache(maxsize=4096)
def _quantity(text: str) -> str:
    try:
        return str(Quantity.parse(text))
    except QuantityError as error:
        raise Mismatch(str(error)) from None


def _quantity_error(text: str) -> QuantityError:
    try:
        Quantity.parse(text)
    except QuantityError as error:
        return error
    raise AssertionError(text)


def int_or_string(value: Any) -> int | str:
    """An integer or a string; null is 0."""
    kind = type(value)
    if kind is str:
        return str(value)
    return int32(value)


def time(value: Any) -> str | None:
    """`metav1.Time`: UTC, whole seconds."""
    return _time(value, False) if type(value) is str else _no_time(value)


def micro_time(value: Any) -> str | None:
    """`metav1.MicroTime`: UTC, microseconds."""
    return _time(value, True) if type(value) is str else _no_time(value)


def _no_time(value: Any) -> str | None:
    if value is None:
        return None
    raise _MISMATCH


@lru_cache(maxsize=4096)
def _time(text: str, micro: bool) -> str | None:
    if micro and _MICRO.fullmatch(text) is None:
        raise Mismatch(_time_message(text, micro))
    try:
        canonical = times.canonical(text, micro=micro)
    except (ValueError, OverflowError):
        raise Mismatch(_time_message(text, micro)) from None
    # Go's zero time is encoded as null.
    return None if canonical.startswith("0001-01-01T00:00:00") else canonical


#: Upstream parses micro times by a layout that wants six digits, no more and no fewer.
_MICRO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_TIME_PARTS: Final = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d", "05"),
)
_ZONE: Final = ((r"(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)", "Z07:00"),)
_MICRO_ZONE: Final = ((r"\.\d{6}", ".000000"), (r"Z|[+-]\d\d:\d\d", "Z07:00"))


def _time_message(text: str, micro: bool) -> str:
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    rest = text
    for pattern, name in (*_TIME_PARTS, *(_MICRO_ZONE if micro else _ZONE)):
        match = re.match(pattern, rest)
        if match is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"'
        rest = rest[match.end() :]
    if rest:
        return f'parsing time "{text}": extra text: "{rest}"'
    for part, (start, low, high) in {
        "month": (5, 1, 12),
        "hour": (11, 0, 23),
        "minute": (14, 0, 59),
        "second": (17, 0, 59),
    }.items():
        if not low <= int(text[start : start + 2]) <= high:
            return f'parsing time "{text}": {part} out of range'
    return f'parsing time "{text}": day out of range'


def data(value: Any) -> str:
    """Base64 of bytes, as Go writes it back; null is none."""
    if value is None:
        return ""
    if type(value) is not str:
        raise _MISMATCH
    if "\n" in value or "\r" in value:
        value = value.replace("\n", "").replace("\r", "")
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch(f"illegal base64 data at input byte {_base64_error(value)}") from None
    # A padded text may carry stray bits, which Go drops.
    return base64.b64encode(decoded).decode("ascii") if value[-1:] == "=" else value


def _base64_error(text: str) -> int:
    """The offset that Go's `base64.StdEncoding` names for a wrong text."""
    position = 0
    while position < len(text):
        for place in range(4):
            if position == len(text):
                return position - place
            character = text[position]
            position += 1
            if character in _BASE64:
                continue
            if character != "=" or place < 2:
                return position - 1
            if place == 2:
                if position == len(text):
                    return len(text)
                if text[position] != "=":
                    return position - 1
                position += 1
            return position
    return position
