"""Compiled checkers: a JSON value in, the value that Go's types would encode out, or `Mismatch`.

A struct becomes one function that goes over the members it is given, not over the fields the type
has. Whatever needs a path in its message (unknown fields, wrong types) only raises `Mismatch` here;
`explain` goes over the body again and words it. Functions are compiled when first needed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.codec import scalars
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.api.schema import Field, Shape
from kubeinstall.api.types import Object

Convert = Callable[[Any], Any]

_SCALARS: Final[dict[str, Convert]] = {
    schema.STRING: scalars.string,
    schema.BOOLEAN: scalars.boolean,
    schema.INT32: scalars.int32,
    schema.INT64: scalars.int64,
    schema.NUMBER: scalars.number,
    schema.BYTES: scalars.data,
    schema.QUANTITY: scalars.quantity,
    schema.INT_OR_STRING: scalars.int_or_string,
    schema.TIME: scalars.time,
    schema.MICRO_TIME: scalars.micro_time,
    schema.RAW: scalars.raw,
}
#: Scalars that Go leaves out when they are zero, unless they are pointers.
_PLAIN: Final = frozenset(
    (schema.STRING, schema.BOOLEAN, schema.INT32, schema.INT64, schema.NUMBER, schema.BYTES)
)
_COLLECTIONS: Final = frozenset((schema.LIST, schema.MAP))
#: Types whose empty lists stay empty. All others pass through protobuf on their way to upstream's store,
#: which does not tell an empty list from none; definitions are stored as JSON, reviews not at all.
_AS_GIVEN: Final = (
    "io.k8s.apiextensions-apiserver.",
    "io.k8s.api.authentication.",
    "io.k8s.api.authorization.",
)


class _Members(dict[str, tuple[Convert | None, bool]]):
    """Checker and "leave out when empty" by member name, compiled when a body first has the member:
    types refer to themselves (JSONSchemaProps), and most fields are never met."""

    def __init__(self, fields: dict[str, Field], nulls: bool) -> None:
        super().__init__()
        self._fields = fields
        self._nulls = nulls

    def __missing__(self, name: str) -> tuple[Convert | None, bool]:
        field = self._fields.get(name)
        if field is None:
            raise Mismatch
        convert = None if field.shape.kind == schema.STRING else converter(field.shape)
        entry = self[name] = (convert, drops_empty(field, self._nulls))
        return entry


@functools.cache
def struct(type_name: str) -> Callable[[Any], Object]:
    """The checker of one struct type, by its full definition name."""
    fields = schema.named(type_name).fields
    members = _Members(fields, nulls=not type_name.startswith(_AS_GIVEN))
    always = [(field.name, zero(field)) for field in fields.values() if field.always]

    def check(value: Any) -> Object:
        if type(value) is not dict:
            if value is not None:
                raise Mismatch
            value = {}
        found: Object = {}
        for name, member in value.items():
            convert, drop = members[name]
            if member is None:
                continue
            if convert is not None:
                member = convert(member)  # noqa: PLW2901 - the hot loop of every write
            elif type(member) is not str:
                raise Mismatch
            if member or not drop:
                found[name] = member
        for name, make in always:
            if name not in found:
                found[name] = None if make is None else make()
        return found

    return check


def drops_empty(field: Field, nulls: bool) -> bool:
    """Whether an empty value is as good as a missing one. With `nulls`, an empty list that is always
    encoded is: it becomes null."""
    if field.shape.kind in {schema.TIME, schema.MICRO_TIME}:
        return not field.always
    if field.shape.kind in _COLLECTIONS:
        return nulls or not field.always
    return field.shape.kind in _PLAIN and not field.always and not field.pointer


def zero(field: Field) -> Callable[[], Any] | None:
    """What makes the value of a missing field that is always encoded; None makes null."""
    kind = field.shape.kind
    if field.pointer or kind in _COLLECTIONS or kind in {schema.RAW, schema.BYTES}:
        return None
    if kind in {schema.TIME, schema.MICRO_TIME}:
        return None
    convert = converter(field.shape)
    if kind == schema.STRUCT:
        return lambda: convert(None)
    constant = convert(None)
    return lambda: constant


def converter(shape: Shape) -> Convert:
    """The checker of one shape."""
    simple = _SCALARS.get(shape.kind)
    if simple is not None:
        return simple
    if shape.kind == schema.STRUCT:
        return struct(shape.type_name)
    if shape.kind == schema.LIST:
        assert shape.element is not None  # noqa: S101 - lists always have one
        return _list(shape.element)
    if shape.kind == schema.MAP:
        assert shape.element is not None  # noqa: S101 - maps always have one
        return _map(shape.element)
    return _UNIONS[shape.kind]


def _list(element: Shape) -> Convert:
    convert = converter(element)
    if element.kind == schema.STRING:
        return _strings

    def check(value: Any) -> Any:
        if type(value) is not list:
            raise Mismatch
        return [convert(each) for each in value]

    return check


def _strings(value: Any) -> Any:
    if type(value) is not list:
        raise Mismatch
    return [each if type(each) is str else scalars.string(each) for each in value]


def _map(element: Shape) -> Convert:
    convert = converter(element)
    if element.kind == schema.STRING:
        return _string_map
    keep_null = element.kind in _COLLECTIONS

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch
        return {
            name: None if each is None and keep_null else convert(each)
            for name, each in value.items()
        }

    return check


def _string_map(value: Any) -> Any:
    if type(value) is not dict:
        raise Mismatch
    return {
        name: each if type(each) is str else scalars.string(each) for name, each in value.items()
    }


def _schema(value: Any) -> Object:
    return struct(schema.JSON_SCHEMA)(value)


def _schema_or_bool(value: Any) -> Any:
    if value is True or value is False:
        return value
    return _schema(_inner(value))


def _schema_or_array(value: Any) -> Any:
    if type(value) is list:
        return [_schema(_inner(each)) for each in value]
    return _schema(_inner(value))


def _schema_or_strings(value: Any) -> Any:
    return _strings(value) if type(value) is list else _schema(_inner(value))


def _inner(value: Any) -> Any:
    if type(value) is not dict:
        raise Mismatch
    return value


_UNIONS: Final[dict[str, Convert]] = {
    schema.SCHEMA_OR_BOOL: _schema_or_bool,
    schema.SCHEMA_OR_ARRAY: _schema_or_array,
    schema.SCHEMA_OR_STRINGS: _schema_or_strings,
}
