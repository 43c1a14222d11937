"""Objects to what upstream's Go types would encode, and to the bytes that the store holds."""

from __future__ import annotations

from typing import Final

import orjson

from kubeinstall.api import schema
from kubeinstall.api.codec import fast
from kubeinstall.api.codec.explain import Reading
from kubeinstall.api.codec.gojson import parse
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest

_ENVELOPE: Final = frozenset(("metadata", "apiVersion", "kind"))


def normalize(resource: Resource, obj: Object) -> Object:
    """A new object: `obj` as upstream's Go types would encode it.

    Unknown fields of built-in types are dropped; a custom resource keeps all but the metadata that
    ObjectMeta does not know. Raises BadRequest when a field has a wrong type.
    """
    if not resource.builtin:
        return obj | {"metadata": normalize_part(schema.OBJECT_META, obj.get("metadata") or {})}
    name = schema.type_name(resource.group, resource.version, resource.kind)
    if name is None:
        raise BadRequest(f"no type for {resource.api_version} {resource.kind}")
    return normalize_part(name, obj)


def normalize_part(type_name: str, value: Object) -> Object:
    """As `normalize`, for a value of any struct type by its full definition name."""
    try:
        return fast.struct(type_name)(value)
    except Mismatch:
        reading = Reading()
        plain = reading.read(type_name, parse(orjson.dumps(value)))
        if reading.error:
            raise BadRequest(reading.error) from None
        return fast.struct(type_name)(plain)


def encode_body(obj: Object) -> bytes:
    """The stored form: `{"metadata":{…},…}` without apiVersion, kind and the resource version.

    `obj` is left as it is. Metadata is always written, so that readers can splice after its brace.
    """
    metadata = obj.get("metadata") or {}
    if "resourceVersion" in metadata:
        metadata = {name: value for name, value in metadata.items() if name != "resourceVersion"}
    body: Object = {"metadata": metadata}
    for name, value in obj.items():
        if name not in _ENVELOPE:
            body[name] = value
    return orjson.dumps(body)
