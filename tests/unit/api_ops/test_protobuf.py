"""Protobuf: recorded objects both ways, against google.protobuf with the reference's descriptors."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeinstall.api import codec, protobuf, schema
from kubeinstall.api.protobuf import messages, values
from kubeinstall.api.protobuf.wire import ProtobufError, read_varint, signed, varint
from kubeinstall.api.resources import builtin, find
from kubeinstall.errors import BadRequest
from tests.unit.api_ops.conftest import REFERENCE

Proto = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": Proto.TYPE_STRING,
    "int32": Proto.TYPE_INT32,
    "int64": Proto.TYPE_INT64,
    "bool": Proto.TYPE_BOOL,
    "bytes": Proto.TYPE_BYTES,
    "double": Proto.TYPE_DOUBLE,
}


def _qualified(package: str, name: str) -> str:
    name = name.removeprefix(".")
    return "." + (name if "." in name else f"{package}.{name}")


def _field(target: Any, package: str, message: str, name: str, spec: dict[str, Any]) -> None:
    field = target.field.add(name=name, number=spec["number"], label=Proto.LABEL_OPTIONAL)
    if spec.get("repeated"):
        field.label = Proto.LABEL_REPEATED
    kind = spec["type"]
    if kind.startswith("map<string,"):
        entry = target.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        _field(entry, package, message, "key", {"number": 1, "type": "string"})
        _field(entry, package, message, "value", {"number": 2, "type": kind[11:-1]})
        field.label = Proto.LABEL_REPEATED
        field.type = Proto.TYPE_MESSAGE
        field.type_name = f".{package}.{message}.{entry.name}"
    elif kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = Proto.TYPE_MESSAGE
        field.type_name = _qualified(package, kind)


@pytest.fixture(scope="module")
def oracle() -> Any:
    """Upstream's messages in google.protobuf: full OpenAPI name → message class."""
    path = REFERENCE / "wire" / "kubernetes-protobuf.json"
    if not path.exists():
        pytest.skip(f"no reference data: {path} (set KUBEINSTALL_REFERENCE)")
    packages = json.loads(path.read_text())
    pool = descriptor_pool.DescriptorPool()
    # Packages refer to each other both ways: one file holds all, nested by package name.
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", syntax="proto2", package="x")
    flat = {
        f"{p}.{m}": f"{p}.{m}".replace(".", "_") for p in packages for m in packages[p]["messages"]
    }

    def rename(package: str, spec: dict[str, Any]) -> dict[str, Any]:
        kind = spec["type"]
        prefix, suffix = ("map<string,", ">") if kind.startswith("map<") else ("", "")
        bare = kind.removeprefix(prefix).removesuffix(suffix) if prefix else kind
        if bare not in SCALARS:
            bare = flat[_qualified(package, bare)[1:]]
        return {**spec, "type": f"{prefix}{bare}{suffix}"}

    for package, content in packages.items():
        for name, fields in content["messages"].items():
            target = file.message_type.add(name=flat[f"{package}.{name}"])
            for key, spec in fields.items():
                _field(target, "x", target.name, key, rename(package, spec))
    pool.Add(file)
    found = {}
    for package, content in packages.items():
        for name in content["messages"]:
            full = "io." + package.replace("_", "-").replace("k8s.io.", "k8s.", 1) + "." + name
            descriptor = pool.FindMessageTypeByName(f"x.{flat[f'{package}.{name}']}")
            found[full] = message_factory.GetMessageClass(descriptor)
    return found


def assert_nothing_unknown(message: Any) -> None:
    assert not UnknownFieldSet(message), message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.type != Proto.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == Proto.TYPE_MESSAGE:
                for each in value.values():
                    assert_nothing_unknown(each)
        else:
            for each in value if field.is_repeated else [value]:
                assert_nothing_unknown(each)


def recorded(golden: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, resource, object) of every recorded object of a built-in kind."""
    found = []
    by_kind = {(r.api_version, r.kind): r for r in builtin()}
    for name, case in golden.items():
        body = case["body"]
        if not isinstance(body, dict):
            continue
        resource = by_kind.get((body.get("apiVersion", ""), body.get("kind", "")))
        if resource is not None and "metadata" in body:
            text = json.dumps(body)
            for starred in ('"*"', '"TIME"'):
                text = text.replace(starred, '"2026-01-02T03:04:05Z"')
            # Some numbers are starred too: those objects are not objects any more.
            with contextlib.suppress(BadRequest):
                found.append((name, resource, codec.normalize(resource, json.loads(text))))
    return found


def test_recorded_objects_survive_and_upstreams_reader_knows_every_field(
    golden: dict[str, Any], oracle: Any
) -> None:
    kinds = set()
    for name, resource, obj in recorded(golden):
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        data = protobuf.encode(obj)
        again = protobuf.decode(data)
        assert codec.normalize(resource, again) == codec.normalize(resource, obj), name
        full = schema.type_name(resource.group, resource.version, resource.kind)
        message = oracle[full]()
        raw = protobuf.encode_raw(resource.api_version, resource.kind, obj)
        message.ParseFromString(raw)
        assert_nothing_unknown(message)
        theirs = protobuf.envelope(resource.api_version, resource.kind, message.SerializeToString())
        assert protobuf.decode(theirs) == again, name
        kinds.add(resource.kind)
    assert len(kinds) > 30


def test_every_number_is_upstreams(oracle: Any) -> None:
    """Fill every field of every type once: upstream's reader must know it all."""
    checked = 0
    for name in schema.type_names():
        if name not in oracle or schema.named(name).fields == {}:
            continue
        short = schema.short_name(name)
        obj = sample(schema.named(name), 3)
        raw = messages.message(short).encode(obj)
        message = oracle[name]()
        message.ParseFromString(raw)
        assert_nothing_unknown(message)
        again = messages.message(short).decode(memoryview(message.SerializeToString()))
        assert again == messages.message(short).decode(memoryview(raw)), name
        missing = obj.keys() - again.keys() - {"apiVersion", "kind"}
        assert not missing, (name, missing)
        checked += 1
    assert checked > 700


def sample(kind: schema.Type, depth: int) -> dict[str, Any]:
    """An object with every field set."""
    return {
        name: sample_value(field.shape, depth)
        for name, field in kind.fields.items()
        if depth or field.shape.kind not in (schema.STRUCT, schema.LIST, schema.MAP)
        if not (
            name in ("apiVersion", "kind")
            and kind.fields.keys() >= {"apiVersion", "kind", "metadata"}
        )
    }


def sample_value(shape: schema.Shape, depth: int) -> Any:
    if shape.kind == schema.STRUCT:
        return sample(schema.named(shape.type_name), depth - 1)
    if shape.kind == schema.LIST and shape.element is not None:
        return [sample_value(shape.element, depth)]
    if shape.kind == schema.MAP and shape.element is not None:
        return {"key": sample_value(shape.element, depth)}
    return {
        schema.STRING: "text",
        schema.BOOLEAN: True,
        schema.INT32: -7,
        schema.INT64: 2**40,
        schema.NUMBER: 1.5,
        schema.BYTES: "aGk=",
        schema.QUANTITY: "1500m",
        schema.INT_OR_STRING: "25%",
        schema.TIME: "2026-01-02T03:04:05Z",
        schema.MICRO_TIME: "2026-01-02T03:04:05.000006Z",
        schema.RAW: {"any": [1, "thing"]},
        schema.SCHEMA_OR_BOOL: True,
        schema.SCHEMA_OR_ARRAY: [{"type": "string"}],
        schema.SCHEMA_OR_STRINGS: ["a"],
    }[shape.kind]


def test_pointers_keep_zero_and_plain_values_lose_it() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ""},
        "spec": {"replicas": 0, "paused": False, "minReadySeconds": 0},
        "status": {},
    }
    spec = protobuf.decode(protobuf.encode(deployment))["spec"]
    assert spec["replicas"] == 0
    assert "paused" not in spec
    assert "minReadySeconds" not in spec


def test_lists_and_watch_frames() -> None:
    raws = [protobuf.encode_raw("v1", "Pod", {"metadata": {"name": name}}) for name in "ab"]
    data = protobuf.encode_list("v1", "PodList", {"resourceVersion": "7"}, raws)
    found = protobuf.decode(data)
    assert found["metadata"]["resourceVersion"] == "7"
    assert [each["metadata"]["name"] for each in found["items"]] == ["a", "b"]
    frame = protobuf.watch_frame("ADDED", protobuf.envelope("v1", "Pod", raws[0]))
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    event = messages.message("meta.v1.WatchEvent")
    assert b"ADDED" in frame
    assert "object" in event.encoders


def test_meta_kinds_in_any_group() -> None:
    options = {"apiVersion": "policy/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    assert protobuf.decode(protobuf.encode(options)) == options
    status = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "code": 404}
    assert protobuf.decode(protobuf.encode(status))["code"] == 404
    assert protobuf.supported("meta.k8s.io/v1", "PartialObjectMetadata")
    assert not protobuf.supported("e.com/v1", "Foo")
    assert find("", "v1", "pods") is not None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "expected prefix"),
        (b"k8s\x00\x0a\xff", "unexpected EOF"),
        (b"k8s\x00\x0b", "illegal wireType"),
        (b"k8s\x00", 'no kind ""'),
    ],
)
def test_broken_messages(data: bytes, message: str) -> None:
    with pytest.raises(ProtobufError, match=message):
        protobuf.decode(data)


@given(st.binary(max_size=80))
@settings(max_examples=300)
def test_hostile_bytes_never_crash(data: bytes) -> None:
    pod = protobuf.envelope("v1", "Pod", data)
    with contextlib.suppress(ProtobufError):
        protobuf.decode(pod)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_varints(value: int) -> None:
    data = varint(value)
    assert signed(read_varint(data, 0)[0]) == value
    assert read_varint(data, 0)[1] == len(data)


@given(st.one_of(st.integers(min_value=-(2**31), max_value=2**31 - 1), st.text(max_size=8)))
def test_int_or_string(value: Any) -> None:
    try:
        encoded = values.int_or_string(value)
    except UnicodeEncodeError:
        return
    assert values.read_int_or_string(memoryview(encoded)) == value
