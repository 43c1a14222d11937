from __future__ import annotations

from typing import Any

from kubeinstall.api.custom import custom_resource
from kubeinstall.api.openapi import CustomType
from kubeinstall.api.openapi.custom import custom_definition

PRESERVE = "x-kubernetes-preserve-unknown-fields"


def published(schema: dict[str, Any], *, v2: bool) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "foos", "kind": "Foo"}
    definition = {
        "metadata": {"name": "foos.e.com"},
        "spec": {"group": "e.com", "scope": "Cluster", "names": names, "versions": [version]},
    }
    return custom_definition(CustomType(custom_resource(definition, "v1"), schema), v2=v2)


def test_what_v2_cannot_say_is_left_out_there() -> None:
    schema = {
        "type": "object",
        "required": ["a", "n"],
        "properties": {
            "a": {"type": "array", PRESERVE: True, "items": {"type": "string"}},
            "n": {"type": "object", "nullable": True, "properties": {"x": {"type": "string"}}},
            "u": {"type": "object", PRESERVE: True, "properties": {"x": {"type": "string"}}},
            "j": {"type": "integer", "anyOf": [{"minimum": 1}, {"maximum": 9}]},
        },
    }
    found = published(schema, v2=True)
    assert found["required"] == ["a"]
    properties = found["properties"]
    assert (properties["a"], properties["n"], properties["u"]) == (
        {PRESERVE: True},
        {},
        {PRESERVE: True},
    )
    assert properties["j"] == {"type": "integer"}
    assert properties["apiVersion"]["description"].startswith("APIVersion defines")
    whole = published(schema, v2=False)
    assert whole["properties"]["u"]["properties"] == {"x": {"type": "string"}}
    assert whole["required"] == ["a", "n"]


def test_a_root_that_keeps_all_is_any_object_in_v2() -> None:
    schema = {"type": "object", PRESERVE: True, "properties": {"spec": {"type": "object"}}}
    found = published(schema, v2=True)
    kinds = found.pop("x-kubernetes-group-version-kind")
    assert kinds == [{"group": "e.com", "version": "v1", "kind": "Foo"}]
    assert found == {"type": "object"}
    assert "spec" in published(schema, v2=False)["properties"]


def test_embedded_objects_have_what_all_objects_have() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, PRESERVE: True}
    schema = {"type": "object", "properties": {"template": inner}}
    for v2 in (True, False):
        template = published(schema, v2=v2)["properties"]["template"]
        assert {"apiVersion", "kind", "metadata"} <= template["properties"].keys()


def test_selectable_fields_are_published() -> None:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    definition = {
        "metadata": {"name": "foos.e.com"},
        "spec": {
            "group": "e.com",
            "scope": "Cluster",
            "names": {"plural": "foos", "kind": "Foo"},
            "versions": [version],
        },
    }
    found = custom_definition(CustomType(custom_resource(definition, "v1"), {}), v2=False)
    assert found["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.color"}]
