from __future__ import annotations

from typing import Any

from kubeinstall.api.custom import CustomType

NUMBER = {"type": "integer", "maximum": 3}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["a"],
            "x-kubernetes-validations": [
                {"rule": "self.a < 10", "message": "a is large"},
                {"rule": "self.a >= oldSelf.a", "message": "a may not shrink"},
            ],
            "properties": {
                "a": NUMBER,
                "b": {"type": "string", "pattern": "^x"},
                "plain": {"type": "array", "items": NUMBER},
                "map": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {
                        "type": "object",
                        "properties": {"k": {"type": "string"}, "v": NUMBER},
                    },
                },
            },
        }
    },
}


def wrong(new: dict[str, Any], old: dict[str, Any] | None) -> list[str]:
    kind = CustomType({"schema": {"openAPIV3Schema": SCHEMA}})
    before = None if old is None else {"metadata": {}, "spec": old}
    return [error.path for error in kind.validate({"metadata": {}, "spec": new}, before)]


def test_only_what_changed_is_judged() -> None:
    old = {"a": 5, "b": "y"}
    assert {"spec.a", "spec.b"} <= set(wrong(old, None))
    assert wrong(old, old) == []
    assert wrong({"a": 5, "b": "z"}, old) == ["spec.b"]
    assert wrong({"a": 6, "b": "y"}, old) == ["spec.a"]
    assert "spec.a" in wrong({"a": True, "b": "y"}, {"a": 1, "b": "y"})


def test_items_have_an_identity_only_in_maps() -> None:
    one = [{"k": "x", "v": 9}]
    assert wrong({"a": 1, "map": [*one, {"k": "y", "v": 1}]}, {"a": 1, "map": one}) == []
    assert wrong({"a": 1, "plain": [9, 1]}, {"a": 1, "plain": [9]}) == ["spec.plain[0]"]
    assert wrong({"a": 1, "plain": [9]}, {"a": 1, "plain": [9]}) == []


def test_rules_are_ratcheted_unless_they_compare() -> None:
    loose = {**SCHEMA["properties"]["spec"]["properties"], "a": {"type": "integer"}}
    spec = {**SCHEMA["properties"]["spec"], "properties": loose}
    kind = CustomType({"schema": {"openAPIV3Schema": {**SCHEMA, "properties": {"spec": spec}}}})

    def messages(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
        found = kind.validate({"metadata": {}, "spec": new}, {"metadata": {}, "spec": old})
        return [error.message for error in found]

    assert messages({"a": 20}, {"a": 20}) == []
    assert "a is large" in messages({"a": 21}, {"a": 20})[0]
    assert "a may not shrink" in messages({"a": 1}, {"a": 2})[0]
