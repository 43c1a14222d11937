"""OpenAPI documents against upstream's own, and their protobuf form against a reader of its wire."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from kubeinstall.api import schema
from kubeinstall.api.openapi import CustomType, OpenAPI
from kubeinstall.api.openapi.definitions import to_v3
from kubeinstall.api.resources import Resource
from tests.unit.api_ops.conftest import REFERENCE


@pytest.fixture(scope="module")
def openapi() -> OpenAPI:
    return OpenAPI()


@pytest.fixture(scope="module")
def v2(openapi: OpenAPI) -> Any:
    return orjson.loads(openapi.v2_json().body)


@pytest.fixture(scope="module")
def upstream() -> Any:
    path = REFERENCE / "openapi-v2-v1.36.json"
    if not path.exists():
        pytest.skip(f"no reference data: {path} (set KUBEINSTALL_REFERENCE)")
    return json.loads(path.read_text())


def operations(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (path, method): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_operations_are_upstreams(v2: Any, upstream: Any) -> None:
    mine, theirs = operations(v2), operations(upstream)
    assert not mine.keys() - theirs.keys()
    for key, operation in mine.items():
        for part in ("operationId", "responses", "tags", "x-kubernetes-action"):
            assert operation.get(part) == theirs[key].get(part), (key, part)
        part = "x-kubernetes-group-version-kind"
        assert operation.get(part) == theirs[key].get(part), key
    served = {path.split("/")[2:4] != [] and tuple(path.split("/")[1:4]) for path, _ in mine}
    missing = [
        p for p, _ in theirs if tuple(p.split("/")[1:4]) in served and (p, "get") not in mine
    ]
    assert not [p for p in missing if (p, "get") in theirs]


def test_definitions_are_upstreams(v2: Any, upstream: Any) -> None:
    for name, definition in upstream["definitions"].items():
        if name.endswith(("resource.Quantity", "intstr.IntOrString")):
            continue  # their texts are not in the type data
        assert v2["definitions"][name] == definition, name


def test_references_all_lead_somewhere(v2: Any, openapi: OpenAPI) -> None:
    def check(value: Any, document: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                target = document
                for part in value["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for each in value.values():
                check(each, document)
        elif isinstance(value, list):
            for each in value:
                check(each, document)

    check(v2["paths"], v2)
    check(v2["definitions"], v2)
    for name in ("api/v1", "apis/apps/v1", "version"):
        found = openapi.v3(name)
        assert found is not None
        document = orjson.loads(found.body)
        check(document, document)


def test_v3_defaults_are_upstreams() -> None:
    path = REFERENCE / "openapi-v3-defaults.json"
    if not path.exists():
        pytest.skip(f"no reference data: {path}")
    known = set(schema.type_names())
    wrong = []
    total = 0
    for name, fields in json.loads(path.read_text()).items():
        if name not in known or ".v1." not in name or name.startswith("io.k8s.apimachinery"):
            continue
        definition = to_v3(name, schema.definition(name))
        mine = {
            k: v["default"] for k, v in definition.get("properties", {}).items() if "default" in v
        }
        total += 1
        if mine != fields:
            wrong.append((name, mine, fields))
    assert total > 300
    assert wrong == []


def test_v3_index_and_documents(openapi: OpenAPI) -> None:
    paths = orjson.loads(openapi.v3_index().body)["paths"]
    assert paths["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")
    for name in paths:
        assert openapi.v3(name) is not None, name
    assert openapi.v3("apis/nope/v1") is None
    again = openapi.v3("apis/apps/v1")
    assert again is not None
    document = orjson.loads(again.body)
    item = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert {p["name"] for p in item["patch"]["parameters"]} >= {
        "dryRun",
        "fieldValidation",
        "force",
    }
    assert "requestBody" in item["put"]
    spec = document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]
    assert spec["template"]["default"] == {}
    assert spec["template"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"}
    ]


def test_custom_resources_appear() -> None:
    foos = Resource("e.com", "v1", "foos", "foo", "Foo", "FooList", True, builtin=False)
    fields = {"type": "object", "properties": {"spec": {"type": "object"}}}
    openapi = OpenAPI([CustomType(foos, fields)])
    found = openapi.v3("apis/e.com/v1")
    assert found is not None
    document = orjson.loads(found.body)
    assert "com.e.v1.Foo" in document["components"]["schemas"]
    patch = document["paths"]["/apis/e.com/v1/namespaces/{namespace}/foos/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    other = OpenAPI([CustomType(foos, None)])
    assert other.v3_hash("apis/e.com/v1") != openapi.v3_hash("apis/e.com/v1")
    assert other.v3_hash("api/v1") == openapi.v3_hash("api/v1")


def fields_of(data: bytes) -> dict[int, list[bytes]]:
    """A message's length-delimited fields by number; numbers are skipped."""
    found: dict[int, list[bytes]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        size = varint()
        if key & 7 == 2:
            found.setdefault(key >> 3, []).append(data[at : at + size])
            at += size
    return found


def test_protobuf_form(openapi: OpenAPI, v2: Any) -> None:
    document = fields_of(openapi.v2_protobuf().body)
    assert document[1] == [b"2.0"]
    paths = [fields_of(each) for each in fields_of(document[8][0])[2]]
    assert [each[1][0].decode() for each in paths] == list(v2["paths"])
    definitions = [fields_of(each) for each in fields_of(document[9][0])[1]]
    assert [each[1][0].decode() for each in definitions] == list(v2["definitions"])
    pod = next(fields_of(d[2][0]) for d in definitions if d[1] == [b"io.k8s.api.core.v1.Pod"])
    extension = fields_of(pod[31][0])
    assert extension[1] == [b"x-kubernetes-group-version-kind"]
    yaml = fields_of(extension[2][0])[2][0]
    assert orjson.loads(yaml) == [{"group": "", "kind": "Pod", "version": "v1"}]
    names = [fields_of(each)[1][0] for each in fields_of(pod[25][0])[1]]
    assert b"spec" in names
