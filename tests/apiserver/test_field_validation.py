"""Strict decoding of patches, and of objects within custom objects."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.apiserver.conftest import Http

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
TEMPLATE = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "x-kubernetes-preserve-unknown-fields": True,
}
SPEC = {"type": "object", "properties": {"foo": {"type": "string"}, "template": TEMPLATE}}


@pytest.fixture(scope="module")
def group() -> str:
    return "strict.example.com"


@pytest.fixture
async def path(http: Http, group: str) -> str:
    definition: dict[str, Any] = {
        "metadata": {"name": f"boxes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boxes", "kind": "Box"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
                }
            ],
        },
    }
    made = await http("POST", DEFINITIONS, definition)
    assert made.status in (201, 409)
    found = f"/apis/{group}/v1/namespaces/NS/boxes"
    for _ in range(200):
        if (await http("GET", found)).status == 200:
            break
        await asyncio.sleep(0.05)
    return found


def box(text: str, name: str = "b") -> str:
    return (
        '{"apiVersion":"strict.example.com/v1","kind":"Box","metadata":{"name":"' + name + '",'
        '"extra":1},"spec":' + text + "}"
    )


async def test_unknown_metadata_also_of_embedded_objects(http: Http, path: str) -> None:
    spec = (
        '{"foo":"a","foo":"b","no":1,"template":{"apiVersion":"v1","kind":"Sub",'
        '"metadata":{"name":"s","sub":1},"any":1}}'
    )
    refused = await http("POST", f"{path}?fieldValidation=Strict", box(spec))
    assert refused.status == 400
    assert refused.body["message"].endswith(
        'strict decoding error: duplicate field "spec.foo", unknown field "metadata.extra",'
        ' unknown field "spec.no", unknown field "spec.template.metadata.sub"'
    )
    made = await http("POST", f"{path}?fieldValidation=Warn", box(spec))
    assert made.status == 201
    assert made.body["spec"]["template"]["metadata"] == {"name": "s"}
    assert made.body["spec"]["template"]["any"] == 1
    refused = await http(
        "PATCH",
        f"{path}/c?fieldManager=m&fieldValidation=Strict",
        box(spec.replace('"foo":"a",', ""), "c"),
        Content_Type="application/apply-patch+yaml",
    )
    assert ".metadata.extra: field not declared in schema" in refused.body["message"]
    assert ".spec.template.metadata.sub: field not declared in schema" in refused.body["message"]
    patch = '{"spec":{"foo":"x","foo":"y","template":{"metadata":{"sub":2}}}}'
    refused = await http("PATCH", f"{path}/b?fieldValidation=Strict", patch, Content_Type=MERGE)
    assert refused.status == 422
    assert refused.body["message"].endswith(
        'duplicate field "spec.foo", unknown field "spec.template.metadata.sub"'
    )


async def test_embedded_objects_must_say_what_they_are(http: Http, path: str) -> None:
    refused = await http("POST", path, box('{"template":{"kind":"Sub"}}', "d"))
    assert refused.status == 422
    (cause,) = refused.body["details"]["causes"]
    assert (cause["field"], cause["reason"]) == ("spec.template.apiVersion", "FieldValueRequired")


async def test_duplicates_in_patches_of_typed_objects(http: Http) -> None:
    await http.create_configmap("strict")
    path = "/api/v1/namespaces/NS/configmaps/strict"
    twice = '{"data":{"a":"1","a":"2"},"nope":1}'
    for media in (MERGE, "application/strategic-merge-patch+json"):
        refused = await http("PATCH", f"{path}?fieldValidation=Strict", twice, Content_Type=media)
        assert refused.status == 422
        assert refused.body["message"].endswith(
            'strict decoding error: duplicate field "data.a", unknown field "nope"'
        )
    assert "map[data:map[a:2] nope:1]" in refused.body["message"]
    warned = await http("PATCH", path, twice, Content_Type=MERGE)
    assert warned.status == 200
    assert "duplicate field" in str(warned.headers)
    operations = json.dumps([{"op": "add", "path": "/data/b", "value": "x", "foo": 1}])
    refused = await http(
        "PATCH",
        f"{path}?fieldValidation=Strict",
        operations,
        Content_Type="application/json-patch+json",
    )
    assert 'json patch unknown field "[0].foo"' in refused.body["message"]
    ignored = await http(
        "PATCH",
        f"{path}?fieldValidation=Ignore",
        operations,
        Content_Type="application/json-patch+json",
    )
    assert ignored.status == 200
