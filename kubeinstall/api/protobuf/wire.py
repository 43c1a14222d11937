"""The protobuf wire format: varints, tags, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubeinstall.errors import BadRequest

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_MASK: Final = 2**64 - 1


class ProtobufError(BadRequest):
    """The bytes are not the message expected."""


def varint(value: int) -> bytes:
    """A number, seven bits a byte; a negative one as 64-bit two's complement."""
    value &= _MASK
    if value < 0x80:
        return value.to_bytes(1, "little")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    """What stands before a field's value."""
    return varint(number << 3 | wire_type)


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, BYTES) + varint(len(value)) + value


def signed(value: int) -> int:
    """A varint as the signed 64-bit number it stands for."""
    return value - 2**64 if value >= 2**63 else value


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """`(value, next position)`. Raises ProtobufError."""
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _MASK, at
            shift += 7
            if shift > 63:
                raise ProtobufError("proto: integer overflow")
    except IndexError:
        raise ProtobufError("unexpected EOF") from None


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """`(number, wire type, value)`: a number for varints, the bytes for all else."""
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, at = read_varint(data, at)
            yield number, wire_type, value
            continue
        if wire_type == BYTES:
            size, at = read_varint(data, at)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise ProtobufError(f"proto: illegal wireType {wire_type}")
        if size > end - at:
            raise ProtobufError("unexpected EOF")
        yield number, wire_type, data[at : at + size]
        at += size
