"""Types of the API: what fields a kind has, how each merges, and how Go encodes it.

    >>> pod = type_of("", "v1", "Pod")
    >>> spec = named(pod.fields["spec"].shape.type_name)
    >>> spec.fields["containers"].list_type, spec.fields["containers"].map_keys
    ('map', ('name',))

Types come from the generated bundle (`kubeinstall.api.bundle`) and from `gofacts`, and are compiled
when first asked for. `definition(name)` is the OpenAPI v2 definition itself, without descriptions;
`descriptions(name)` has those.
"""

from __future__ import annotations

import functools
import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kubeinstall.api import gofacts, gonames
from kubeinstall.api.bundle import DESCRIPTIONS, FOLDER, TYPES, BundleError

# Kinds of a Shape.
STRING: Final = "string"
BOOLEAN: Final = "boolean"
INT32: Final = "int32"
INT64: Final = "int64"
NUMBER: Final = "number"
BYTES: Final = "bytes"
QUANTITY: Final = "quantity"
INT_OR_STRING: Final = "int-or-string"
TIME: Final = "time"
MICRO_TIME: Final = "micro-time"
#: Any JSON, kept as it came: RawExtension, FieldsV1, JSON.
RAW: Final = "raw"
#: The unions of JSON Schema: a schema or a boolean, a list of schemas, a list of strings.
SCHEMA_OR_BOOL: Final = "schema-or-bool"
SCHEMA_OR_ARRAY: Final = "schema-or-array"
SCHEMA_OR_STRINGS: Final = "schema-or-strings"
STRUCT: Final = "struct"
LIST: Final = "list"
MAP: Final = "map"

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
DELETE_OPTIONS: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
JSON_SCHEMA: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"

_SPECIAL: Final = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": TIME,
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": MICRO_TIME,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": RAW,
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": RAW,
    f"{JSON_SCHEMA.removesuffix('JSONSchemaProps')}JSON": RAW,
    f"{JSON_SCHEMA}OrBool": SCHEMA_OR_BOOL,
    f"{JSON_SCHEMA}OrArray": SCHEMA_OR_ARRAY,
    f"{JSON_SCHEMA}OrStringArray": SCHEMA_OR_STRINGS,
}
_SCALARS: Final = {
    ("string", ""): STRING,
    ("string", "byte"): BYTES,
    ("boolean", ""): BOOLEAN,
    ("integer", "int32"): INT32,
    ("integer", "int64"): INT64,
    ("integer", ""): INT64,
    ("number", "double"): NUMBER,
    ("number", ""): NUMBER,
    ("object", ""): RAW,
}
_GO_SCALARS: Final = {
    STRING: "string",
    BOOLEAN: "bool",
    INT32: "int32",
    INT64: "int64",
    NUMBER: "float64",
    BYTES: "[]uint8",
}
_PREFIXES: Final = (
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apimachinery.pkg.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value looks like. `type_name` is set for structs (and schema unions), `element` for
    lists and maps; `go_type` is the name in error messages (`[]v1.Container`)."""

    kind: str
    go_type: str
    type_name: str = ""
    element: Shape | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct.

    `list_type`: "atomic", "set", "map" or "" (atomic too, as upstream treats it); `map_keys` are the keys of
    a list of type map. `map_type`: "atomic", "granular" or "". `merge_key` and `patch_strategies`
    ("merge", "replace", "retainKeys") are those of strategic merge patch.
    `always`: encoded even when empty. `pointer`: an empty scalar is kept when given.
    """

    name: str
    shape: Shape
    required: bool
    list_type: str
    map_keys: tuple[str, ...]
    map_type: str
    merge_key: str
    patch_strategies: tuple[str, ...]
    always: bool
    pointer: bool


@dataclass(frozen=True, slots=True)
class Type:
    """One struct: `name` is the full definition name, `go_name` that of messages ("v1.Container")."""

    name: str
    short: str
    go_name: str
    fields: dict[str, Field]
    #: "atomic" when server-side apply treats the struct as one value.
    map_type: str


@functools.cache
def _bundle() -> dict[str, Any]:
    path = FOLDER / TYPES
    try:
        document: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"{path} is missing: run `python -m kubeinstall.api.bundle` (or `make bundle`)"
        ) from None
    return document


def kinds() -> dict[str, str]:
    """Full type names by "group/version/Kind" ("v1/Kind" for core), served or not."""
    known: dict[str, str] = _bundle()["kinds"]
    return known


def type_names() -> list[str]:
    """All definition names, sorted."""
    return list(_bundle()["types"])


def type_name(group: str, version: str, kind: str) -> str | None:
    """The full type name of a kind."""
    return kinds().get(f"{group}/{version}/{kind}" if group else f"{version}/{kind}")


def type_of(group: str, version: str, kind: str) -> Type | None:
    """The type of a kind, or None when there is no such built-in kind."""
    name = type_name(group, version, kind)
    return None if name is None else named(name)


def definition(name: str) -> dict[str, Any]:
    """The OpenAPI v2 definition, a fresh copy without descriptions. Raises KeyError."""
    parsed: dict[str, Any] = orjson.loads(_bundle()["types"][name])
    return parsed


def descriptions() -> dict[str, dict[str, str]]:
    """Descriptions by type name, then by field ("" is the type's own). Not cached: 1.5 MB."""
    parsed: dict[str, dict[str, str]] = json.loads(
        zlib.decompress((FOLDER / DESCRIPTIONS).read_bytes())
    )
    return parsed


@functools.cache
def named(name: str) -> Type:
    """The type of that full definition name. Raises KeyError."""
    parsed = definition(name)
    short = _short(name)
    return Type(
        name=name,
        short=short,
        go_name=_go_name(name),
        fields=_fields(name, short, parsed),
        map_type=parsed.get("x-kubernetes-map-type", ""),
    )


def short_name(name: str) -> str:
    """The shortened form of a full definition name: `core.v1.Container`."""
    return _short(name)


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _go_name(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _fields(name: str, short: str, parsed: dict[str, Any]) -> dict[str, Field]:
    go_types = gonames.names(short)
    required = set(parsed.get("required", ()))
    kind = "x-kubernetes-group-version-kind" in parsed
    found: dict[str, Field] = {}
    for field_name, schema in parsed.get("properties", {}).items():
        shape = _shape(schema, go_types.get(field_name, ""))
        always = _always(short, field_name, shape, required=field_name in required, root=kind)
        strategies = schema.get("x-kubernetes-patch-strategy", "")
        found[field_name] = Field(
            name=field_name,
            shape=shape,
            required=field_name in required,
            list_type=schema.get("x-kubernetes-list-type", ""),
            map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
            map_type=schema.get("x-kubernetes-map-type", ""),
            merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
            patch_strategies=tuple(strategies.split(",")) if strategies else (),
            always=always,
            pointer=_pointer(short, field_name, shape, always=always),
        )
    return found


def _always(short: str, field: str, shape: Shape, *, required: bool, root: bool) -> bool:
    if field in gofacts.fields(gofacts.ALWAYS, short):
        return True
    if field in gofacts.fields(gofacts.OMITTED, short):
        return False
    if shape.kind in {TIME, MICRO_TIME}:
        if short.endswith("Condition") and field in gofacts.CONDITION_TIMES:
            return True
        return field in gofacts.fields(gofacts.VALUE_TIMES, short)
    if root and field in {"metadata", "spec", "status"}:
        return True
    return required


def _pointer(short: str, field: str, shape: Shape, *, always: bool) -> bool:
    if shape.kind == STRUCT:
        return not always or field in gofacts.fields(gofacts.POINTER_STRUCTS, short)
    return field in gofacts.fields(gofacts.POINTERS, short)


def _shape(schema: dict[str, Any], go_type: str = "") -> Shape:
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.removeprefix("#/definitions/")
        kind = _SPECIAL.get(name, STRUCT)
        unions = {SCHEMA_OR_BOOL, SCHEMA_OR_ARRAY, SCHEMA_OR_STRINGS}
        target = name if kind == STRUCT else JSON_SCHEMA if kind in unions else ""
        return Shape(kind, _go_name(name), target)
    if schema.get("type") == "array":
        element = _shape(schema["items"], go_type.removeprefix("[]"))
        return Shape(LIST, go_type or f"[]{element.go_type}", "", element)
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        inner = go_type.removeprefix("map[string]") if go_type.startswith("map[string]") else ""
        element = _shape(values, inner)
        return Shape(MAP, go_type or f"map[string]{element.go_type}", "", element)
    kind = _SCALARS[(schema.get("type", "object"), schema.get("format", ""))]
    return Shape(kind, go_type or _GO_SCALARS.get(kind, ""))
