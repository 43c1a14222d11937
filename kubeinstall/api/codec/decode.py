"""Reads the body of a request as upstream's codecs do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from kubeinstall.api import schema
from kubeinstall.api.codec import envelope, fast, gojson, yamldoc
from kubeinstall.api.codec.envelope import Kind
from kubeinstall.api.codec.explain import Reading
from kubeinstall.api.codec.gojson import JSONError, Pairs
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType

FieldValidation = Literal["Strict", "Warn", "Ignore"]

_JSON: Final = "application/json"
_YAML: Final = "application/yaml"
_UNKNOWN_FORMAT: Final = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The object, and what to warn the client of."""

    object: Object
    warnings: tuple[str, ...] = ()


def decode(
    resource: Resource,
    data: bytes,
    content_type: str,
    *,
    field_validation: FieldValidation = "Warn",
) -> Decoded:
    """The object that the body of a POST or PUT to `resource` writes, with kind and apiVersion.

    `content_type` may carry parameters and may be empty (JSON). Raises BadRequest with upstream's
    message, UnsupportedMediaType for other formats.
    """
    kind = Kind(resource.group, resource.version, resource.kind)
    if resource.builtin:
        return decode_kind(kind, data, content_type, field_validation=field_validation)
    return _decode_custom(resource, data, content_type, field_validation)


def decode_kind(
    expected: Kind,
    data: bytes,
    content_type: str,
    *,
    field_validation: FieldValidation = "Warn",
) -> Decoded:
    """As `decode`, for a built-in kind that need not have a resource: Scale, Eviction, DeleteOptions…"""
    media = _media_type(content_type)
    if media == _JSON:
        quick = _quick(expected, data)
        if quick is not None:
            return Decoded(quick)
    node, duplicates = _parse(expected, data, media)
    found = envelope.identify(node, expected, data)
    if found.retired:
        envelope.fits(found, expected)
    name = envelope.type_name(found, expected)
    reading = Reading()
    plain = reading.read(name, Pairs() if node is None else node)
    if reading.error:
        raise envelope.unhandled(found, expected, reading.error)
    envelope.fits(found, expected)
    obj = fast.struct(name)(plain)
    warnings = _judge(found, expected, [*duplicates, *reading.findings], field_validation)
    return Decoded(_enveloped(expected, obj), warnings)


def decode_patched(
    resource: Resource,
    obj: Object,
    *,
    field_validation: FieldValidation = "Warn",
    before: Sequence[str] = (),
    shown: str = "",
) -> Decoded:
    """The object that a patch made, `obj`, read as a body would be.

    A patch carries no kind of its own: upstream's errors are `Invalid`, of the field `patch`, whose value is
    `shown` where that is not the object. `before` are strict findings in the patch itself.
    """
    decoded, findings = _read_patched(resource, obj)
    findings = [*before, *findings]
    if findings and field_validation == "Strict":
        value = shown or orjson.dumps(obj).decode()
        raise _patch_error(value, f"strict decoding error: {', '.join(findings)}")
    return Decoded(decoded, tuple(findings) if field_validation == "Warn" else ())


def _read_patched(resource: Resource, obj: Object) -> tuple[Object, list[str]]:
    if not resource.builtin:
        return _patched_custom(resource, obj)
    name = schema.type_name(resource.group, resource.version, resource.kind)
    if name is None:
        raise BadRequest(f"no type for {resource.api_version} {resource.kind}")
    kind = Kind(resource.group, resource.version, resource.kind)
    try:
        return _enveloped(kind, fast.struct(name)(obj)), []
    except Mismatch:
        pass
    data = orjson.dumps(obj)
    reading = Reading()
    plain = reading.read(name, gojson.parse(data))
    if reading.error:
        raise _patch_error(data.decode(), reading.error)
    return _enveloped(kind, fast.struct(name)(plain)), reading.findings


def duplicates_of(data: bytes) -> list[str]:
    """Strict findings of members that JSON has twice: `duplicate field "spec.a"`."""
    try:
        return _repeated(gojson.parse(data), "")
    except JSONError:
        return []


def _patch_error(shown: str, detail: str) -> Invalid:
    value = orjson.dumps(shown).decode()
    error = FieldError("FieldValueInvalid", "patch", f"Invalid value: {value}: {detail}")
    invalid = Invalid("", "", "", [error])
    (invalid.details or {}).pop("kind", None)
    return invalid


def _media_type(content_type: str) -> str:
    media = content_type.partition(";")[0].strip().lower() or _JSON
    if media not in {_JSON, _YAML}:
        raise UnsupportedMediaType(_UNKNOWN_FORMAT)
    return media


def _quick(expected: Kind, data: bytes) -> Object | None:
    """The object, when nothing about the body is suspicious; None sends it the thorough way."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict:
        return None
    if value.get("kind", expected.kind) != expected.kind:
        return None
    if value.get("apiVersion", expected.api_version) != expected.api_version:
        return None
    if not without_duplicates(value, data):
        return None
    name = schema.type_name(expected.group, expected.version, expected.kind)
    if name is None:
        return None
    try:
        return _enveloped(expected, fast.struct(name)(value))
    except Mismatch:
        return None


def without_duplicates(value: Any, data: bytes) -> bool:
    """Whether no object in `data`, which orjson read as `value`, has a member twice."""
    # orjson keeps the last of duplicate members. Clients send compact JSON: written again it is as
    # long as it came, unless something was lost. Only other forms pay for looking at each member.
    if len(orjson.dumps(value)) == len(data):
        return True
    try:
        return not _repeats(gojson.parse(data))
    except JSONError:
        return False


def _repeats(node: Any) -> bool:
    if isinstance(node, Pairs):
        return len(dict(node)) != len(node) or any(_repeats(each) for _, each in node)
    return isinstance(node, list) and any(_repeats(each) for each in node)


def _parse(expected: Kind, data: bytes, media: str) -> tuple[Any, list[str]]:
    """The body as `gojson` gives it, and YAML's own findings of duplicate keys."""
    if media == _JSON:
        try:
            return gojson.parse(data), []
        except JSONError as error:
            detail = f"couldn't get version/kind; json parse error: {error}"
            raise envelope.unrecognized(expected, detail, data) from None
    try:
        node, duplicates = yamldoc.parse(data)
    except yamldoc.YAMLError as error:
        raise envelope.unrecognized(expected, str(error), data) from None
    if not duplicates:
        return node, []
    lines = "".join(f"\n  {line}" for line in duplicates)
    return node, [f"yaml: unmarshal errors:{lines}"]


def _judge(
    found: Kind, expected: Kind, findings: list[str], field_validation: FieldValidation
) -> tuple[str, ...]:
    """The warnings that strict findings become. Raises BadRequest when they are errors."""
    if not findings or field_validation == "Ignore":
        return ()
    if field_validation == "Warn":
        return tuple(findings)
    detail = f"strict decoding error: {', '.join(findings)}"
    raise envelope.unhandled(found, expected, detail)


def _enveloped(kind: Kind, obj: Object) -> Object:
    obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version
    return obj


def _decode_custom(
    resource: Resource, data: bytes, content_type: str, field_validation: FieldValidation
) -> Decoded:
    """A custom resource: any JSON object with ObjectMeta, less the fields that its schema does not know."""
    expected = Kind(resource.group, resource.version, resource.kind)
    node, duplicates = _parse(expected, data, _media_type(content_type))
    found = envelope.identify(node, expected, data)
    if not isinstance(node, Pairs):
        node = Pairs()
    reading = Reading()
    plain = gojson.plain(node)
    metadata = next((member for name, member in reversed(node) if name == "metadata"), None)
    plain["metadata"] = _custom_metadata(reading, metadata)
    if reading.error:
        raise envelope.unhandled(found, expected, reading.error)
    envelope.fits(found, expected)
    unknown = [one for one in reading.findings if not one.startswith("duplicate ")]
    dropped, wrong = _unknown(resource, plain)
    if wrong:
        raise envelope.unhandled(found, expected, wrong)
    findings = [*duplicates, *_repeated(node, ""), *unknown, *dropped]
    warnings = _judge(found, expected, findings, field_validation)
    return Decoded(_enveloped(expected, plain), warnings)


def _unknown(resource: Resource, obj: Object) -> tuple[list[str], str]:
    """Drop what the schema does not know, in place: findings, and what is wrong with embedded metadata."""
    if resource.custom is None:
        return [], ""
    paths = sorted(resource.custom.prune(obj))
    embedded, wrong = resource.custom.coerce_embedded(obj, _embedded_metadata)
    return [f'unknown field "{path}"' for path in (*paths, *embedded)], wrong


def _embedded_metadata(value: Any) -> tuple[Any, list[str], str]:
    """See `custom.embedded.ReadMetadata`."""
    reading = Reading()
    kept = _custom_metadata(reading, gojson.parse(orjson.dumps(value)))
    names = [
        one.removeprefix('unknown field "metadata.').removesuffix('"') for one in reading.findings
    ]
    return kept, names, reading.error


def _patched_custom(resource: Resource, patched: Object) -> tuple[Object, list[str]]:
    metadata = gojson.parse(orjson.dumps(patched.get("metadata")))
    reading = Reading()
    obj = patched | {"metadata": _custom_metadata(reading, metadata)}
    if reading.error:
        raise _patch_error(orjson.dumps(patched).decode(), reading.error)
    shown = orjson.dumps(patched).decode()
    findings, wrong = _unknown(resource, obj)
    if wrong:
        raise _patch_error(shown, wrong)
    return obj, [*reading.findings, *findings]


def _custom_metadata(reading: Reading, node: Any) -> Object:
    wrapped = Pairs([("metadata", node)])
    # Read inside of a kind, so that messages and paths begin with `metadata`.
    read = reading.read(schema.kinds()["v1/ConfigMap"], wrapped)
    return fast.struct(schema.OBJECT_META)(read.get("metadata"))


def _repeated(node: Any, path: str) -> list[str]:
    found: list[str] = []
    if isinstance(node, Pairs):
        seen: set[str] = set()
        for name, member in node:
            inner = f"{path}.{name}" if path else name
            if name in seen:
                found.append(f'duplicate field "{inner}"')
            seen.add(name)
            found += _repeated(member, inner)
    elif isinstance(node, list):
        for index, member in enumerate(node):
            found += _repeated(member, f"{path}[{index}]")
    return found
