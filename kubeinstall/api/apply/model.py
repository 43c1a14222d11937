"""What structured merge and strategic merge need to know of a type: a tree of `TypeNode`s.

Built lazily from OpenAPI definitions: the built-in types', or a CustomResource's schema. Rules are
those of kube-openapi's conversion to structured-merge-diff schemas: a list is atomic unless its
`x-kubernetes-list-type` (or, without one, its patch strategy) says otherwise; a map is granular
unless `x-kubernetes-map-type` says atomic; what has no type is "deduced" from the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from kubeinstall.api import schema as schemas

Schema = Mapping[str, Any]
Resolver = Callable[[str], "TypeNode"]

SCALAR: Final = "scalar"
STRUCT: Final = "struct"
MAP: Final = "map"
LIST: Final = "list"
DEDUCED: Final = "deduced"

_REF: Final = "#/definitions/"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
#: What every object has, embedded ones too.
_ENVELOPE: Final[dict[str, Schema]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"$ref": _REF + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
}
#: Types that are strings or numbers on the wire, whatever their definition looks like.
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})
#: List-map keys may be left out where the field has a default; upstream's schema gives these.
KEY_DEFAULTS: Final = {"protocol": "TCP"}


class TypeNode:
    """One type in one place.

    `kind` is one of SCALAR, STRUCT, MAP, LIST, DEDUCED. `atomic` lists and maps are owned and
    replaced whole. A LIST that is not atomic is a set (`keys` empty) or a map by `keys`.
    `merge_key` and `strategies` are those of strategic merge patch.
    """

    __slots__ = (
        "_element",
        "_fields",
        "_resolve",
        "_schema",
        "atomic",
        "keys",
        "kind",
        "merge_key",
        "strategies",
    )

    def __init__(self, schema: Schema, resolve: Resolver) -> None:
        self._schema = schema
        self._resolve = resolve
        self._fields: dict[str, TypeNode] | None = None
        self._element: TypeNode | None = None
        self.kind = _kind(schema)
        self.keys: tuple[str, ...] = ()
        self.atomic = schema.get("x-kubernetes-map-type") == "atomic" or _opaque(schema)
        if self.kind == LIST:
            self._list_rules(schema)
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")
        self.strategies: tuple[str, ...] = tuple(
            part for part in schema.get("x-kubernetes-patch-strategy", "").split(",") if part
        )

    def _list_rules(self, schema: Schema) -> None:
        list_type = schema.get("x-kubernetes-list-type", "")
        merges = "merge" in schema.get("x-kubernetes-patch-strategy", "").split(",")
        if list_type == "map":
            self.keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        elif not list_type and merges and "x-kubernetes-patch-merge-key" in schema:
            self.keys = (schema["x-kubernetes-patch-merge-key"],)
        self.atomic = list_type == "atomic" or (not list_type and not merges)

    @property
    def fields(self) -> dict[str, TypeNode]:
        """The declared fields of a STRUCT."""
        if self._fields is None:
            properties = self._schema.get("properties", {})
            if self._schema.get(_EMBEDDED):
                properties = {**properties, **_ENVELOPE}
            self._fields = {name: self._node(schema) for name, schema in properties.items()}
        return self._fields

    @property
    def element(self) -> TypeNode:
        """The type of a LIST's items, a MAP's values, or a STRUCT's undeclared fields."""
        if self._element is None:
            schema = self._schema.get("items" if self.kind == LIST else "additionalProperties")
            self._element = self._node(schema) if isinstance(schema, dict) else deduced()
        return self._element

    @property
    def open(self) -> bool:
        """Whether a STRUCT takes fields that it does not declare."""
        schema = self._schema
        return bool(
            schema.get("x-kubernetes-preserve-unknown-fields")
            or schema.get("additionalProperties")
            or schema.get("x-kubernetes-embedded-resource")
        )

    @property
    def leaf(self) -> bool:
        """Whether values are owned as a whole."""
        return self.kind == SCALAR or self.atomic

    def child(self, key: str) -> TypeNode | None:
        """The type below `key` of a STRUCT, MAP or DEDUCED value; None where none is declared."""
        if self.kind == STRUCT:
            return self.fields.get(key) or (self.element if self.open else None)
        if self.kind == MAP:
            return self.element
        return deduced() if self.kind == DEDUCED else None

    def _node(self, schema: Schema) -> TypeNode:
        reference = schema.get("$ref")
        if reference is None:
            return TypeNode(schema, self._resolve)
        target = self._resolve(reference.removeprefix(_REF))
        extra = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
        return TypeNode({**target._schema, **extra}, self._resolve) if extra else target


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") or kind in _SCALARS:
        return SCALAR
    if kind == "array":
        return LIST
    if "properties" in schema or schema.get(_EMBEDDED):
        return STRUCT
    if isinstance(schema.get("additionalProperties"), dict):
        return MAP
    return MAP if _opaque(schema) else DEDUCED


def _opaque(schema: Schema) -> bool:
    """RawExtension, FieldsV1: an object of which nothing is known, owned as a whole."""
    return (
        schema.get("type") == "object"
        and not schema.get("properties")
        and not schema.get("additionalProperties")
        and not schema.get("x-kubernetes-preserve-unknown-fields")
        and not schema.get("x-kubernetes-embedded-resource")
    )


@lru_cache(maxsize=1)
def deduced() -> TypeNode:
    """The type of values without a schema: scalars and lists are owned whole, maps by key."""
    return TypeNode({}, _no_types)


def _no_types(name: str) -> TypeNode:
    raise KeyError(name)


@cache  # bounded by the number of built-in types
def named(name: str) -> TypeNode:
    """The node of a built-in type by its OpenAPI name. Raises KeyError."""
    return TypeNode(schemas.definition(name), named)


@cache  # bounded by the number of built-in kinds asked for, see `find`
def _builtin(group: str, version: str, kind: str) -> TypeNode | None:
    name = schemas.type_name(group, version, kind)
    return None if name is None else named(name)


def builtin(group: str, version: str, kind: str) -> TypeNode | None:
    """The node of a built-in kind, or None for a kind that is not built in."""
    if schemas.type_name(group, version, kind) is None:
        return None
    return _builtin(group, version, kind)


def custom(schema: Schema | None) -> TypeNode:
    """The node of a CustomResource by its `openAPIV3Schema` (None: no schema, all is deduced).

    The caller keeps the node as long as the definition stays the same.
    """
    properties = dict((schema or {}).get("properties") or {})
    properties |= _ENVELOPE
    whole = {**(schema or {"x-kubernetes-preserve-unknown-fields": True}), "properties": properties}
    return TypeNode(whole, named)
