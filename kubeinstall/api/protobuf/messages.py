"""Codecs of messages, compiled from the numbers and the types when first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.protobuf import values
from kubeinstall.api.protobuf.wire import (
    BYTES,
    FIXED64,
    VARINT,
    ProtobufError,
    field,
    fields,
    read_varint,
    signed,
    tag,
    varint,
)
from kubeinstall.api.schema import Field, Shape
from kubeinstall.api.types import Object

#: Appends a value, with its tag, to a message.
Encoder = Callable[[bytearray, Any], None]
#: Puts a value read from the wire into an object.
Decoder = Callable[[Object, Any], None]
Reader = Callable[[Any], Any]
Writer = Callable[[Any], bytes]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
#: Values that are length-delimited: how each is written and read.
_DELIMITED: Final[dict[str, tuple[Writer, Reader]]] = {
    schema.STRING: (values.text, values.read_text),
    schema.BYTES: (values.base64_bytes, values.read_base64),
    schema.QUANTITY: (values.quantity, values.read_quantity),
    schema.INT_OR_STRING: (values.int_or_string, values.read_int_or_string),
    schema.TIME: (values.time_message, values.read_time),
    schema.MICRO_TIME: (values.micro_time, values.read_micro_time),
    schema.RAW: (values.raw, values.read_raw),
    "string-list": (values.string_list, values.read_string_list),
}
_NUMBERS: Final = frozenset({schema.INT32, schema.INT64, schema.BOOLEAN, schema.NUMBER})
_ZERO: Final[dict[str, Any]] = {
    schema.STRING: "",
    schema.BOOLEAN: False,
    schema.INT32: 0,
    schema.INT64: 0,
    schema.NUMBER: 0,
    schema.BYTES: "",
}
_CODES: Final = {
    "s": schema.STRING,
    "b": schema.BOOLEAN,
    "i": schema.INT64,
    "y": schema.BYTES,
    "d": schema.NUMBER,
    "t": schema.TIME,
    "r": schema.RAW,
    "w": "string-list",
}


class Message:
    """One message type."""

    def __init__(self, name: str, parent: dict[str, Field] | None = None) -> None:
        """`name` is a shortened type name; `parent` are the fields of the object it is inlined in."""
        self.encoders: dict[str, Encoder] = {}
        self.decoders: dict[int, Decoder] = {}
        self.inlined: list[tuple[bytes, Message]] = []
        known = _fields(name) if parent is None else parent
        for number, token in _numbered(name):
            self._add(name, number, token, known)

    def _add(self, name: str, number: int, token: str, known: dict[str, Field]) -> None:
        if token.startswith("."):
            local = f"{name.rpartition('.')[0]}{token}"
            inner = Message(token[1:] if "." in token[1:] else local, known)
            self.inlined.append((tag(number, BYTES), inner))
            self.decoders[number] = inner.merge
            return
        key, _, code = token.partition(":")
        declared = known.get(key)
        shape = _coded(code) if code else None
        if shape is None:
            if declared is None:
                raise ProtobufError(f"{name} has no field {key}")
            shape = declared.shape
        self.encoders[key] = _encoder(number, shape)
        self.decoders[number] = _decoder(key, shape, declared)

    def encode(self, obj: Object) -> bytes:
        """The message of an object; fields it does not know are left out."""
        out = bytearray()
        encoders = self.encoders
        for key, value in obj.items():
            if value is not None:
                encoder = encoders.get(key)
                if encoder is not None:
                    encoder(out, value)
        for prefix, inner in self.inlined:
            body = inner.encode(obj)
            if body:
                out += prefix + varint(len(body)) + body
        return bytes(out)

    def merge(self, obj: Object, data: memoryview) -> None:
        """Read a message into `obj`; unknown fields are skipped."""
        decoders = self.decoders
        for number, _, value in fields(data):
            decoder = decoders.get(number)
            if decoder is not None:
                decoder(obj, value)

    def decode(self, data: memoryview) -> Object:
        """The object of a message."""
        obj: Object = {}
        self.merge(obj, data)
        return obj


@cache  # bounded by the number of message types
def message(name: str) -> Message:
    """The codec of a shortened type name (`core.v1.Pod`). Raises KeyError."""
    return Message(name)


@lru_cache(maxsize=64)
def _table(group_version: str) -> dict[str, str]:
    folder = resources.files("kubeinstall.api.protobuf").joinpath("numbers")
    path = folder.joinpath(f"{group_version}.txt")
    if not path.is_file():
        raise KeyError(group_version)
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


def _numbered(name: str) -> list[tuple[int, str]]:
    group_version, _, bare = name.rpartition(".")
    found: list[tuple[int, str]] = []
    number = 0
    for token in _table(group_version)[bare].split():
        key, separator, code = token.partition(":")
        key, _, explicit = key.partition("=")
        number = int(explicit) if explicit else number + 1
        found.append((number, key + separator + code))
    return found


@lru_cache(maxsize=1)
def _full_names() -> dict[str, str]:
    return {schema.short_name(name): name for name in schema.type_names()}


def _fields(name: str) -> dict[str, Field]:
    full = _full_names().get(name)
    return schema.named(full).fields if full is not None else {}


def _coded(code: str) -> Shape:
    if code.startswith("*"):
        return Shape(schema.LIST, "", "", _coded(code[1:]))
    kind = _CODES.get(code)
    return Shape(kind, "") if kind else Shape(schema.STRUCT, "", code)


def _struct(shape: Shape) -> Message:
    name = shape.type_name
    return message(schema.short_name(name) if name.startswith("io.") else name)


# Writing ------------------------------------------------------------------------------------------


def _encoder(number: int, shape: Shape) -> Encoder:
    if shape.kind == schema.LIST and shape.element is not None:
        each = _encoder(number, _element(shape.element))

        def encode_all(out: bytearray, value: Any) -> None:
            for item in value:
                if item is not None:
                    each(out, item)

        return encode_all
    if shape.kind == schema.MAP and shape.element is not None:
        return _map_encoder(number, _element(shape.element))
    if shape.kind in _NUMBERS:
        return _number_encoder(number, shape.kind)
    prefix = tag(number, BYTES)
    write = _writer(shape)

    def encode(out: bytearray, value: Any) -> None:
        body = write(value)
        out += prefix
        out += varint(len(body))
        out += body

    return encode


def _element(shape: Shape) -> Shape:
    """A list inside a list or map is a message that holds the list."""
    return Shape("string-list", "") if shape.kind == schema.LIST else shape


def _number_encoder(number: int, kind: str) -> Encoder:
    prefix = tag(number, FIXED64 if kind == schema.NUMBER else VARINT)
    write: Writer = values.double if kind == schema.NUMBER else varint

    def encode(out: bytearray, value: Any) -> None:
        out += prefix
        out += write(value)

    return encode


def _map_encoder(number: int, element: Shape) -> Encoder:
    prefix = tag(number, BYTES)
    of_value = _encoder(2, element)

    def encode(out: bytearray, value: dict[str, Any]) -> None:
        for key, each in value.items():
            entry = bytearray(field(1, key.encode()))
            if each is not None:
                of_value(entry, each)
            out += prefix
            out += varint(len(entry))
            out += entry

    return encode


def _writer(shape: Shape) -> Writer:
    delimited = _DELIMITED.get(shape.kind)
    if delimited is not None:
        return delimited[0]
    if shape.kind == schema.STRUCT:
        # Found late: types refer to themselves.
        return lambda value: _struct(shape).encode(value)
    return _UNIONS[shape.kind][0]


# Reading ------------------------------------------------------------------------------------------


def _decoder(key: str, shape: Shape, declared: Field | None) -> Decoder:
    if shape.kind == schema.LIST and shape.element is not None:
        read_item = _reader(_element(shape.element))
        return lambda obj, value: obj.setdefault(key, []).append(read_item(value))
    if shape.kind == schema.MAP and shape.element is not None:
        read_entry = _entry_reader(_element(shape.element))

        def decode_entry(obj: Object, value: Any) -> None:
            name, each = read_entry(value)
            obj.setdefault(key, {})[name] = each

        return decode_entry
    read = _reader(shape)
    if declared is None or declared.pointer:
        return lambda obj, value: _put(obj, key, read(value))
    if declared.always:
        return lambda obj, value: obj.__setitem__(key, read(value))
    # A plain Go value that is left out of JSON when empty; on the wire it is always there.
    zero = _ZERO.get(shape.kind)

    def decode(obj: Object, value: Any) -> None:
        found = read(value)
        if found is not None and found != zero and found != {}:
            obj[key] = found

    return decode


def _put(obj: Object, key: str, value: Any) -> None:
    if value is not None:
        obj[key] = value


def _reader(shape: Shape) -> Reader:
    if shape.kind == schema.BOOLEAN:
        return values.read_flag
    if shape.kind in (schema.INT32, schema.INT64):
        return _read_integer
    if shape.kind == schema.NUMBER:
        return _delimited(values.read_double)
    found = _DELIMITED.get(shape.kind)
    if found is not None:
        return _delimited(found[1])
    if shape.kind == schema.STRUCT:
        return _delimited(lambda data: _struct(shape).decode(data))
    return _delimited(_UNIONS[shape.kind][1])


def _read_integer(value: Any) -> int:
    return signed(value) if isinstance(value, int) else signed(read_varint(value, 0)[0])


def _delimited(read: Reader) -> Reader:
    def checked(value: Any) -> Any:
        if not isinstance(value, memoryview):
            raise ProtobufError("proto: wrong wireType")
        return read(value)

    return checked


def _entry_reader(element: Shape) -> Callable[[Any], tuple[str, Any]]:
    read = _reader(element)
    empty = _ZERO.get(element.kind, {} if element.kind == schema.STRUCT else None)

    def entry(data: Any) -> tuple[str, Any]:
        key, each = "", empty
        for number, _, value in fields(data):
            if number == 1 and isinstance(value, memoryview):
                key = values.read_text(value)
            elif number == 2:
                each = read(value)
        return key, each

    return entry


# JSON Schema's unions -----------------------------------------------------------------------------


def _schema_props() -> Message:
    return message("apiextensions.v1.JSONSchemaProps")


def _or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return tag(1, VARINT) + varint(value)
    return tag(1, VARINT) + b"\x01" + field(2, _schema_props().encode(value))


def _read_or_bool(data: memoryview) -> Any:
    found: Any = False
    for number, _, value in fields(data):
        if number == 2 and isinstance(value, memoryview):
            return _schema_props().decode(value)
        if number == 1:
            found = values.read_flag(value)
    return found


def _or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(field(2, _schema_props().encode(each)) for each in value)
    return field(1, _schema_props().encode(value))


def _read_or_array(data: memoryview) -> Any:
    found: list[Any] = []
    for number, _, value in fields(data):
        if isinstance(value, memoryview):
            each = _schema_props().decode(value)
            if number == 1:
                return each
            found.append(each)
    return found


def _or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(field(2, values.text(each)) for each in value)
    return field(1, _schema_props().encode(value))


def _read_or_strings(data: memoryview) -> Any:
    found: list[str] = []
    for number, _, value in fields(data):
        if isinstance(value, memoryview):
            if number == 1:
                return _schema_props().decode(value)
            found.append(values.read_text(value))
    return found


_UNIONS: Final[dict[str, tuple[Writer, Reader]]] = {
    schema.SCHEMA_OR_BOOL: (_or_bool, _read_or_bool),
    schema.SCHEMA_OR_ARRAY: (_or_array, _read_or_array),
    schema.SCHEMA_OR_STRINGS: (_or_strings, _read_or_strings),
}
