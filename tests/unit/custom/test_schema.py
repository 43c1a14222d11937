"""Structural schemas: pruning, defaults, and validation in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api.custom import CustomType
from kubeinstall.api.types import Object


def custom(schema: Object) -> CustomType:
    return CustomType(
        {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}
    )


def test_unknown_fields_are_dropped_unless_preserved() -> None:
    inner = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}}
    items = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
    kind = custom({"type": "object", "properties": {"free": inner, "list": items}})
    obj: Object = {
        "apiVersion": "g/v1",
        "kind": "K",
        "metadata": {"name": "x"},
        "other": 1,
        "spec": {"free": {"any": 1}, "list": [{"a": "1", "b": 2}], "gone": True},
    }
    assert kind.prune(obj) == ["other", "spec.list[0].b", "spec.gone"]
    assert obj["spec"] == {"free": {"any": 1}, "list": [{"a": "1"}]}
    assert set(obj) == {"apiVersion", "kind", "metadata", "spec"}


def test_defaults_may_have_defaults() -> None:
    port = {
        "type": "object",
        "default": {},
        "properties": {"number": {"type": "integer", "default": 80}},
    }
    kind = custom({"type": "object", "default": {}, "properties": {"port": port}})
    obj: Object = {}
    kind.default(obj)
    assert obj == {"spec": {"port": {"number": 80}}}


CASES: list[tuple[Object, Any, str]] = [
    (
        {"type": "integer"},
        "x",
        'spec: Invalid value: "string": spec in body must be of type integer: "string"',
    ),
    ({"type": "string", "minLength": 2}, "a", "spec in body should be at least 2 chars long"),
    ({"type": "string", "maxLength": 2}, "abc", "spec: Too long: may not be more than 2 bytes"),
    (
        {"type": "string", "format": "date-time"},
        "now",
        'spec in body must be of type date-time: "now"',
    ),
    (
        {"type": "integer", "multipleOf": 5},
        7,
        "spec: Invalid value: 7: spec in body should be a multiple of 5",
    ),
    ({"type": "number", "maximum": 1.5}, 2, "spec in body should be less than or equal to 1.5"),
    ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1, "should be greater than 1"),
    (
        {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        ["a", "b"],
        "spec: Too many: 2: must have at most 1 item",
    ),
    (
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ["a", "a"],
        'spec[1]: Duplicate value: "a"',
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"a": "b"},
        'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"',
    ),
    (
        {"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]},
        3,
        "spec in body must validate one and only one schema (oneOf). Found 2 valid alternatives",
    ),
    ({"x-kubernetes-int-or-string": True}, 1.5, "spec in body must be of type integer,string"),
]


@pytest.mark.parametrize(("schema", "value", "wanted"), CASES)
def test_one_wrong_value_is_explained(schema: Object, value: Any, wanted: str) -> None:
    (error,) = custom(schema).validate({"spec": value})
    assert wanted in str(error)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "nullable": True}, None),
        ({"type": "number"}, 1),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        ({"type": "string", "format": "unheard-of"}, "x"),
        ({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, 0),
    ],
)
def test_good_values_pass(schema: Object, value: Any) -> None:
    assert custom(schema).validate({"spec": value}) == []
