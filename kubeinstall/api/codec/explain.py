"""The thorough reading of a body: follows Go's decoder field by field and words what is wrong.

Strict decoding names unknown and duplicate fields by path (`spec.containers[0].nope`); a value of
the wrong type is named by Go struct, field path without indices and Go type. The first wrong type
ends in an error, strict findings are collected (at most 100, each once), as upstream does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.codec import scalars
from kubeinstall.api.codec.gojson import Number, Pairs, number, plain
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.api.schema import Shape
from kubeinstall.api.types import Object

_MOST_FINDINGS: Final = 100

_OWN_FORM: Final[dict[str, Callable[[Any], Any]]] = {
    schema.QUANTITY: scalars.quantity,
    schema.TIME: scalars.time,
    schema.MICRO_TIME: scalars.micro_time,
    schema.BYTES: scalars.data,
}
_INNER_GO: Final = {schema.TIME: "string", schema.MICRO_TIME: "string"}
_BITS: Final = {schema.INT32: 31, schema.INT64: 63}


class Reading:
    """One pass over one body. `error` is the first type error, `findings` the strict ones."""

    def __init__(self) -> None:
        self.error = ""
        self.findings: list[str] = []
        self._struct = ""
        self._fields: list[str] = []
        self._path: list[str] = []
        self._silent = 0

    def read(self, type_name: str, node: Any) -> Object:
        """Plain values of a parsed body: known fields only, no nulls, nothing of a wrong type."""
        type_ = schema.named(type_name)
        shape = Shape(schema.STRUCT, type_.go_name, type_name)
        value = self._value(shape, node)
        return value if isinstance(value, dict) else {}

    def _find(self, what: str, name: str) -> None:
        text = f'{what} field "{"".join([*self._path, f".{name}"]).removeprefix(".")}"'
        if not self._silent and len(self.findings) < _MOST_FINDINGS and text not in self.findings:
            self.findings.append(text)

    def _wrong(self, found: str, go_type: str) -> None:
        if self.error:
            return
        place = "Go value"
        if self._fields:
            place = f"Go struct field {self._struct}.{'.'.join(self._fields)}"
        self.error = f"json: cannot unmarshal {found} into {place} of type {go_type}"

    def _value(self, shape: Shape, node: Any) -> Any:
        """The plain value, or None when there is nothing to keep."""
        if node is None or shape.kind == schema.RAW:
            return plain(node)
        if shape.kind == schema.STRUCT:
            return self._struct_value(shape, node)
        if shape.kind == schema.LIST:
            return self._list(shape, node)
        if shape.kind == schema.MAP:
            return self._map(shape, node)
        if shape.kind in _OWN_FORM:
            return self._own_form(shape, node)
        if shape.kind in {schema.SCHEMA_OR_BOOL, schema.SCHEMA_OR_ARRAY, schema.SCHEMA_OR_STRINGS}:
            return self._union(shape, node)
        return self._scalar(shape, node)

    def _struct_value(self, shape: Shape, node: Any) -> Any:
        if not isinstance(node, Pairs):
            self._wrong(_found(node), shape.go_type)
            return None
        type_ = schema.named(shape.type_name)
        outer_struct = self._struct
        found: Object = {}
        for name, member in node:
            field = type_.fields.get(name)
            if field is None:
                self._find("unknown", name)
                continue
            if name in found:
                self._find("duplicate", name)
            self._struct = type_.go_name.rpartition(".")[2]
            self._fields.append(name)
            self._path.append(f".{name}")
            value = self._value(field.shape, member)
            self._path.pop()
            self._fields.pop()
            earlier = found.get(name)
            if isinstance(earlier, dict) and isinstance(value, dict):
                value = earlier | value
            if value is not None or name not in found:
                found[name] = value
        self._struct = outer_struct
        return {name: value for name, value in found.items() if value is not None}

    def _list(self, shape: Shape, node: Any) -> Any:
        if not isinstance(node, list) or isinstance(node, Pairs):
            self._wrong(_found(node), shape.go_type)
            return None
        element = _element(shape)
        values = []
        for index, each in enumerate(node):
            self._path.append(f"[{index}]")
            values.append(self._value(element, each))
            self._path.pop()
        return values

    def _map(self, shape: Shape, node: Any) -> Any:
        if not isinstance(node, Pairs):
            self._wrong(_found(node), shape.go_type)
            return None
        element = _element(shape)
        found: Object = {}
        for name, member in node:
            if name in found:
                self._find("duplicate", name)
            self._path.append(f".{name}")
            found[name] = self._value(element, member)
            self._path.pop()
        return found

    def _own_form(self, shape: Shape, node: Any) -> Any:
        """Types that decode themselves: their errors carry no path."""
        # A quantity may be written as a number: its text counts.
        exact = shape.kind == schema.QUANTITY and isinstance(node, Number)
        value = str(node) if exact else plain(node)
        try:
            _OWN_FORM[shape.kind](value)
        except Mismatch as mismatch:
            if mismatch.message:
                self.error = self.error or mismatch.message
            else:
                self._wrong(_found(node), _INNER_GO.get(shape.kind, shape.go_type))
            return None
        return value

    def _scalar(self, shape: Shape, node: Any) -> Any:
        if shape.kind == schema.INT_OR_STRING:
            if isinstance(node, str) and not isinstance(node, Number):
                return node
            return self._integer(schema.INT32, "int32", node)
        if shape.kind in _BITS:
            return self._integer(shape.kind, shape.go_type, node)
        if shape.kind == schema.NUMBER and isinstance(node, Number):
            return number(node)
        expected: type = bool if shape.kind == schema.BOOLEAN else str
        if (
            shape.kind != schema.NUMBER
            and isinstance(node, expected)
            and not isinstance(node, Number)
        ):
            return node
        self._wrong(_found(node), shape.go_type)
        return None

    def _integer(self, kind: str, go_type: str, node: Any) -> Any:
        if not isinstance(node, Number):
            self._wrong(_found(node), go_type)
            return None
        value = number(node)
        if isinstance(value, int) and -(2 ** _BITS[kind]) <= value < 2 ** _BITS[kind]:
            return value
        self._wrong(f"number {node}", go_type)
        return None

    def _union(self, shape: Shape, node: Any) -> Any:
        """JSON Schema's alternatives decode themselves, and not strictly."""
        if shape.kind == schema.SCHEMA_OR_BOOL and isinstance(node, bool):
            return node
        several = isinstance(node, list) and not isinstance(node, Pairs)
        if shape.kind == schema.SCHEMA_OR_STRINGS and several:
            return plain(node)
        inner = Shape(schema.STRUCT, "v1.JSONSchemaProps", shape.type_name)
        if shape.kind == schema.SCHEMA_OR_ARRAY and several:
            inner = Shape(schema.LIST, "[]v1.JSONSchemaProps", "", inner)
        elif not isinstance(node, Pairs):
            self.error = self.error or "boolean or JSON schema expected"
            return None
        self._silent += 1
        value = self._value(inner, node)
        self._silent -= 1
        return value


def _element(shape: Shape) -> Shape:
    if shape.element is None:
        raise TypeError(f"{shape.kind} without an element")
    return shape.element


def _found(node: Any) -> str:
    """Go's word for the JSON value met."""
    if isinstance(node, Number):
        return "number"
    if isinstance(node, str):
        return "string"
    if isinstance(node, bool):
        return "bool"
    return "object" if isinstance(node, Pairs) else "array"
