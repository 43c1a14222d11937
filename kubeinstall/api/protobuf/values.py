"""Single values that are messages of their own on the wire: times, quantities, raw JSON, unions."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from kubeinstall.api import times
from kubeinstall.api.protobuf.wire import (
    BYTES,
    VARINT,
    ProtobufError,
    field,
    fields,
    read_varint,
    signed,
    tag,
    varint,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def text(value: Any) -> bytes:
    """A string."""
    return str(value).encode()


def read_text(data: memoryview) -> str:
    """The string. Raises ProtobufError when it is not UTF-8."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise ProtobufError("proto: field contains invalid UTF-8") from None


def base64_bytes(value: str) -> bytes:
    """The bytes of a base64 string."""
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ProtobufError(f"not base64: {error}") from None


def read_base64(data: memoryview) -> str:
    """Bytes as a base64 string."""
    return base64.b64encode(data).decode()


def double(value: float) -> bytes:
    """A 64-bit float."""
    return struct.pack("<d", value)


def read_double(data: memoryview) -> float:
    """The float; whole ones as integers, as Go's JSON writes them."""
    (value,) = struct.unpack("<d", data)
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(value)


def quantity(value: Any) -> bytes:
    """A resource.Quantity."""
    return field(1, str(value).encode())


def read_quantity(data: memoryview) -> str:
    """Its text; an empty one is "0"."""
    for number, wire_type, value in fields(data):
        if number == 1 and wire_type == BYTES and isinstance(value, memoryview):
            return read_text(value) or "0"
    return "0"


def int_or_string(value: Any) -> bytes:
    """An intstr.IntOrString: which of the two, and it."""
    if isinstance(value, str):
        return tag(1, VARINT) + b"\x01" + field(3, value.encode())
    return tag(1, VARINT) + b"\x00" + tag(2, VARINT) + varint(value)


def read_int_or_string(data: memoryview) -> int | str:
    """The number or the string."""
    number_value, string_value, is_string = 0, "", False
    for number, _, value in fields(data):
        if number == 1 and isinstance(value, int):
            is_string = value == 1
        elif number == 2 and isinstance(value, int):
            number_value = signed(value)
        elif number == 3 and isinstance(value, memoryview):
            string_value = read_text(value)
    return string_value if is_string else number_value


def time_message(value: str) -> bytes:
    """A metav1.Time: whole seconds."""
    return tag(1, VARINT) + varint(int((_moment(value) - _EPOCH).total_seconds() // 1))


def micro_time(value: str) -> bytes:
    """A metav1.MicroTime: seconds and nanoseconds."""
    moment = _moment(value)
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    out = tag(1, VARINT) + varint(seconds)
    if moment.microsecond:
        out += tag(2, VARINT) + varint(moment.microsecond * 1000)
    return out


def _moment(value: str) -> datetime:
    try:
        return times.parse(value)
    except ValueError as error:
        raise ProtobufError(str(error)) from None


def read_time(data: memoryview) -> str | None:
    """The time as text; an empty message is no time."""
    moment = _read_moment(data)
    return None if moment is None else times.format_time(moment)


def read_micro_time(data: memoryview) -> str | None:
    """The time as text; an empty message is no time."""
    moment = _read_moment(data)
    return None if moment is None else times.format_micro(moment)


def _read_moment(data: memoryview) -> datetime | None:
    if not len(data):
        return None
    seconds = nanos = 0
    for number, _, value in fields(data):
        if number == 1 and isinstance(value, int):
            seconds = signed(value)
        elif number == 2 and isinstance(value, int):
            nanos = signed(value)
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise ProtobufError("time out of range") from None


def raw(value: Any) -> bytes:
    """RawExtension, FieldsV1, JSON: the JSON text."""
    return field(1, orjson.dumps(value))


def read_raw(data: memoryview) -> Any:
    """The value of the JSON text; None without one."""
    for number, wire_type, value in fields(data):
        if number == 1 and wire_type == BYTES and isinstance(value, memoryview):
            try:
                return orjson.loads(value) if len(value) else None
            except orjson.JSONDecodeError as error:
                raise ProtobufError(f"raw value is not JSON: {error}") from None
    return None


def string_list(value: list[str]) -> bytes:
    """A message that only holds a list of strings (ExtraValue, Verbs)."""
    return b"".join(field(1, text(each)) for each in value)


def read_string_list(data: memoryview) -> list[str]:
    """The strings."""
    return [
        read_text(value)
        for number, _, value in fields(data)
        if number == 1 and isinstance(value, memoryview)
    ]


def read_flag(value: int | memoryview) -> bool:
    """A boolean varint."""
    return bool(value if isinstance(value, int) else read_varint(value, 0)[0])
