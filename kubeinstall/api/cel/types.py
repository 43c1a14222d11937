"""Static types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Type:
    """`int`, `list(string)`, a type parameter, or an object type with `fields`.

    `fields` of an object type may be a function: types of schemas are made when asked for.
    """

    __slots__ = ("_fields", "name", "params")

    def __init__(
        self,
        name: str,
        params: tuple[Type, ...] = (),
        fields: Mapping[str, Type] | Callable[[], Mapping[str, Type]] | None = None,
    ) -> None:
        self.name = name
        self.params = params
        self._fields = fields

    @property
    def is_object(self) -> bool:
        """Whether its fields are known."""
        return self._fields is not None

    @property
    def fields(self) -> Mapping[str, Type]:
        """Fields of an object type, by the names that expressions use."""
        if callable(self._fields):
            self._fields = self._fields()
        return self._fields or {}

    @property
    def is_param(self) -> bool:
        """Whether it stands for another type (A, B of signatures)."""
        return len(self.name) == 1

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Type)
            and self.name == other.name
            and self.params == other.params
            and (self._fields is None or self is other or self._fields is other._fields)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.params))

    def __str__(self) -> str:
        if self.name == "optional_type" or self.params:
            return f"{self.name}({', '.join(map(str, self.params))})"
        return {
            "google.protobuf.Timestamp": "timestamp",
            "google.protobuf.Duration": "duration",
        }.get(self.name, self.name)

    __repr__ = __str__


DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES = (
    Type(name) for name in ("dyn", "null", "bool", "int", "uint", "double", "string", "bytes")
)
TIMESTAMP, DURATION = Type("google.protobuf.Timestamp"), Type("google.protobuf.Duration")
ERROR = Type("!error!")
A, B = Type("A"), Type("B")
NUMBERS = (INT, UINT, DOUBLE)


def list_of(item: Type) -> Type:
    """`list(item)`."""
    return Type("list", (item,))


def map_of(key: Type, value: Type) -> Type:
    """`map(key, value)`."""
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    """`optional_type(value)`."""
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of a type."""
    return Type("type", (value,))


Bindings = dict[str, Type]


def assignable(target: Type, source: Type, bound: Bindings) -> bool:
    """Whether a `source` may stand where a `target` is wanted; binds type parameters."""
    if target.is_param:
        return _bind(target, source, bound)
    if "dyn" in (target.name, source.name) or "!error!" in (target.name, source.name):
        return True
    if source.is_param:
        return True
    if source.name == "null" and _nullable(target):
        return True
    if target.name == "null" and _nullable(source):
        return True
    if target.name != source.name:
        return False
    if target.is_object and source.is_object:
        return target == source
    if len(target.params) != len(source.params):
        return target.name == "type"
    if target.name == "type":
        return True
    return all(
        assignable(one, other, bound)
        for one, other in zip(target.params, source.params, strict=True)
    )


def _bind(target: Type, source: Type, bound: Bindings) -> bool:
    known = bound.get(target.name)
    if known is None or known.name == "dyn":
        bound.setdefault(target.name, source)
        return True
    if source.name == "null" and _nullable(known):
        return True
    if known.name == "null" and _nullable(source):
        bound[target.name] = source
        return True
    return assignable(known, source, bound)


def _nullable(found: Type) -> bool:
    return found.is_object or found.name in (
        "null",
        "dyn",
        TIMESTAMP.name,
        DURATION.name,
        "optional_type",
    )


def substitute(found: Type, bound: Bindings) -> Type:
    """A type with its parameters replaced by what they stand for; the unknown is dyn."""
    if found.is_param:
        return bound.get(found.name, DYN)
    if not found.params:
        return found
    return Type(found.name, tuple(substitute(one, bound) for one in found.params))


def join(one: Type, other: Type) -> Type:
    """The type of a list that has both."""
    if one == other or one.name == "!error!":
        return other
    bound: Bindings = {}
    if one.name != "dyn" and other.name != "dyn" and assignable(one, other, bound):
        return one if other.name == "null" else other if one.name == "null" else one
    return DYN


def of_value(value: Any) -> Type:
    """The static type of a literal."""
    from kubeinstall.api.cel.values import UInt

    if value is None:
        return NULL
    for kind, found in (
        (bool, BOOL),
        (UInt, UINT),
        (int, INT),
        (float, DOUBLE),
        (str, STRING),
        (bytes, BYTES),
    ):
        if isinstance(value, kind):
            return found
    return DYN
