"""Whole objects: the envelope with its magic number, lists, watch frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubeinstall.api import schema
from kubeinstall.api.protobuf.messages import Message, message
from kubeinstall.api.protobuf.values import read_text
from kubeinstall.api.protobuf.wire import ProtobufError, field, fields
from kubeinstall.api.types import Object

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
WATCH_MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf;stream=watch"

_MAGIC: Final = b"k8s\x00"
#: Kinds of the meta API, which are read in any group.
_META_KINDS: Final = frozenset(
    {
        "CreateOptions",
        "DeleteOptions",
        "GetOptions",
        "ListOptions",
        "PartialObjectMetadata",
        "PartialObjectMetadataList",
        "PatchOptions",
        "Status",
        "UpdateOptions",
    }
)


def supported(api_version: str, kind: str) -> bool:
    """Whether a kind has a protobuf form."""
    try:
        _message(api_version, kind)
    except ProtobufError:
        return False
    return True


def _message(api_version: str, kind: str) -> Message:
    group, _, version = api_version.rpartition("/")
    full = schema.type_name(group, version, kind)
    try:
        if full is not None:
            return message(schema.short_name(full))
        if kind in _META_KINDS:
            return message(f"meta.v1.{kind}")
        if not group:
            return message(f"core.{version}.{kind}")
    except KeyError:
        pass
    raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')


def encode_raw(api_version: str, kind: str, obj: Object) -> bytes:
    """The message of an object, without envelope. Raises ProtobufError for a kind without one."""
    return _message(api_version, kind).encode(obj)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """A message in its envelope: magic number, and a `runtime.Unknown` that names the kind."""
    meta = field(1, api_version.encode()) + field(2, kind.encode())
    return b"".join((_MAGIC, field(1, meta), field(2, raw), b"\x1a\x00\x22\x00"))


def encode(obj: Object) -> bytes:
    """An object with apiVersion and kind (a list's items need none), in its envelope."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    return envelope(api_version, kind, encode_raw(api_version, kind, obj))


def encode_list(api_version: str, list_kind: str, metadata: Object, raws: Iterable[bytes]) -> bytes:
    """A list in its envelope from its items' messages, which `encode_raw` made."""
    head = field(1, message("meta.v1.ListMeta").encode(metadata))
    raw = b"".join((head, *(field(2, each) for each in raws)))
    return envelope(api_version, list_kind, raw)


def decode(data: bytes) -> Object:
    """The object, with apiVersion and kind, of an enveloped message.

    What Go leaves out of JSON is left out; absent values that it encodes (null lists) are not put
    in: normalize the result. Raises ProtobufError (400).
    """
    if not data.startswith(_MAGIC):
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version = kind = ""
    raw = memoryview(b"")
    for number, _, value in fields(memoryview(data)[len(_MAGIC) :]):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            named = {n: read_text(v) for n, _, v in fields(value) if isinstance(v, memoryview)}
            api_version, kind = named.get(1, ""), named.get(2, "")
        elif number == 2:
            raw = value
    try:
        found = _message(api_version, kind).decode(raw)
    except RecursionError:
        raise ProtobufError("message nested too deeply") from None
    return {"apiVersion": api_version, "kind": kind, **found}


def watch_frame(event_type: str, enveloped: bytes) -> bytes:
    """One frame of a watch stream: length in four bytes, then a WatchEvent with the object in it."""
    event = field(1, event_type.encode()) + field(2, field(1, enveloped))
    return len(event).to_bytes(4, "big") + event
