"""Request bodies: media type, decoding, and the checks that every write makes on what came."""

from __future__ import annotations

import orjson

from kubeinstall.api import codec, defaults
from kubeinstall.api.resources import Resource, Subresource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.core import Call
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import JSON, MEDIA_TYPES, PROTOBUF
from kubeinstall.errors import BadRequest, UnsupportedMediaType


def media_type(exchange: Exchange) -> str:
    """The body's media type; raises `UnsupportedMediaType`."""
    given = exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not given:
        return JSON
    if given not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(MEDIA_TYPES)
        )
    return given


async def read(call: Call, resource: Resource, field_validation: str) -> Object:
    """The decoded, defaulted body as an object of `resource`'s kind; warnings go to the answer."""
    exchange = call.exchange
    data, media = await _text(exchange)
    decoded = codec.decode(resource, data, media, field_validation=validation(field_validation))
    exchange.warnings.extend(decoded.warnings)
    defaults.apply(resource, decoded.object)
    return decoded.object


async def _text(exchange: Exchange) -> tuple[bytes, str]:
    """The body and its media type; protobuf as the JSON that says the same."""
    media = media_type(exchange)
    data = await exchange.body()
    if media != PROTOBUF:
        return data, media
    from kubeinstall.api import protobuf

    return orjson.dumps(protobuf.decode(data)), JSON


async def read_kind(call: Call, kind: codec.Kind, field_validation: str) -> Object:
    """As `read`, for what a subresource takes: a Scale, an Eviction, …"""
    exchange = call.exchange
    data, media = await _text(exchange)
    decoded = codec.decode_kind(kind, data, media, field_validation=validation(field_validation))
    exchange.warnings.extend(decoded.warnings)
    return decoded.object


def validation(text: str) -> codec.FieldValidation:
    """The `fieldValidation` parameter, already checked; the server's default is to warn."""
    if text == "Strict":
        return "Strict"
    return "Ignore" if text == "Ignore" else "Warn"


def subresource_kind(resource: Resource, subresource: Subresource) -> codec.Kind:
    """What a subresource takes."""
    if subresource.version:
        return codec.Kind(subresource.group, subresource.version, subresource.kind)
    return codec.Kind(resource.group, resource.version, subresource.kind)


def settle_namespace(call: Call, obj: Object, resource: Resource) -> None:
    """Make the object's namespace that of the path; raises `BadRequest` when it says another."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        metadata = obj["metadata"] = {}
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace")
    if not given:
        metadata["namespace"] = call.info.namespace
    elif given != call.info.namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_name(call: Call, obj: Object) -> None:
    """The name in the body must be that of the path."""
    name = (obj.get("metadata") or {}).get("name")
    if not name:
        raise BadRequest(
            f"the name of the object ({call.info.name} based on URL) was undeterminable: name must"
            " be provided"
        )
    if name != call.info.name:
        raise BadRequest(
            f"the name of the object ({name}) does not match the name on the URL ({call.info.name})"
        )


def check_target(call: Call, obj: Object, resource: Resource) -> None:
    """A patch cannot move an object: its name and namespace stay those of the path."""
    check_name(call, obj)
    metadata = obj["metadata"]
    if not resource.namespaced:
        return
    given = metadata.setdefault("namespace", call.info.namespace)
    if given != call.info.namespace:
        raise BadRequest(
            f"the namespace of the object ({given}) does not match the namespace on the request"
            f" ({call.info.namespace})"
        )
