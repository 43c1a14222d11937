"""Patches: the RFCs' examples, upstream's directives, recorded answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kubeinstall.api import patch
from kubeinstall.api.apply import model
from kubeinstall.api.patch.jsonpatch import PatchFailed
from kubeinstall.api.patch.strategic import merge_by_type, strategic_merge_patch
from kubeinstall.api.resources import Resource, find
from kubeinstall.errors import BadRequest, StatusError, UnsupportedMediaType


def resource(group: str, name: str) -> Resource:
    found = find(group, "v1", name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("doc", "change", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": 1}, {"a": None}, {"b": 1}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(doc: Any, change: Any, expected: Any) -> None:
    assert patch.merge_patch(doc, change) == expected


@pytest.mark.parametrize(
    ("doc", "operations", "expected"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": [1]}], {"a": 1, "b": [1]}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "remove", "path": "/a"}], {}),
        (
            {"a/b": 1, "c~d": 2},
            [{"op": "replace", "path": "/a~1b", "value": 3}],
            {"a/b": 3, "c~d": 2},
        ),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        (
            {"a": {"b": 1}},
            [{"op": "copy", "from": "/a", "path": "/c"}],
            {"a": {"b": 1}, "c": {"b": 1}},
        ),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
        ({}, [{"op": "test", "path": "/a"}, {"op": "replace", "path": "/b", "value": 1}], {"b": 1}),
        (
            {},
            [{"op": "add", "path": "/a"}, {"op": "copy", "from": "/x", "path": "/b"}],
            {"a": None, "b": None},
        ),
    ],
)
def test_json_patch(doc: Any, operations: Any, expected: Any) -> None:
    before = orjson.dumps(doc)
    assert patch.json_patch(doc, operations) == expected
    assert orjson.dumps(doc) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/l/0", "value": 1},
        {"op": "move", "from": "/none", "path": "/b"},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "frob", "path": "/a"},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
    ],
)
def test_json_patch_fails(operation: Any) -> None:
    with pytest.raises(PatchFailed) as caught:
        patch.json_patch({"a": 1, "l": []}, [operation])
    assert caught.value.status_code == 422


def test_recorded_patch_errors(golden: dict[str, Any]) -> None:
    base = {"data": {"k": "v"}, "metadata": {"name": "base"}}
    for name in ("json-bad-op", "json-not-array", "json-test-fails", "merge-bad"):
        case = golden[f"patch.{name}"]
        sent = case["send"]
        body = sent.encode() if isinstance(sent, str) else orjson.dumps(sent)
        content_type = case["headers"]["Content-Type"]
        with pytest.raises(StatusError) as caught:
            patch.json_patch(base, patch.decode(body, content_type))
        assert caught.value.to_status() | {"apiVersion": "v1"} == case["body"], name


def containers(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": name} for name in names]}


def pod_spec(original: Any, change: Any) -> Any:
    return merge_by_type(model.named("io.k8s.api.core.v1.PodSpec"), original, change)


def names(spec: Any) -> list[str]:
    return [item["name"] for item in spec["containers"]]


def test_strategic_lists_merge_by_key_and_keep_the_patch_first() -> None:
    merged = pod_spec(containers("c"), containers("side"))
    assert names(merged) == ["side", "c"]
    merged = pod_spec(containers("a", "b"), {"containers": [{"name": "b", "image": "new"}]})
    assert names(merged) == ["a", "b"]
    assert merged["containers"][1]["image"] == "new"


def test_strategic_delete_and_replace() -> None:
    change = {"containers": [{"$patch": "delete", "name": "a"}, {"name": "n"}]}
    assert names(pod_spec(containers("a", "b"), change)) == ["n", "b"]
    change = {"containers": [{"$patch": "replace"}, {"name": "n"}]}
    assert names(pod_spec(containers("a", "b"), change)) == ["n"]
    assert pod_spec(
        {"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "replace", "b": "2"}}
    ) == {"nodeSelector": {"b": "2"}}
    assert pod_spec({}, {"containers": [{"$patch": "delete", "name": "a"}]}) == {"containers": []}


def test_strategic_directives_where_nothing_was() -> None:
    probe = {"$patch": "replace", "exec": {"command": ["x"]}}
    change = {"containers": [{"name": "a", "livenessProbe": probe}]}
    assert "livenessProbe" not in pod_spec(containers("a"), change)["containers"][0]
    items: list[Any] = [{"$patch": "delete", "key": "a"}, {"key": "b", "value": None}]
    change = {"tolerations": items}
    assert pod_spec({}, change) == {"tolerations": [{"key": "b"}]}
    assert pod_spec({}, {"affinity": {"nodeAffinity": {"$patch": "replace"}}}) == {"affinity": {}}


def test_strategic_element_order() -> None:
    change = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "b", "image": "new"}],
    }
    merged = pod_spec(containers("a", "b", "server"), change)
    assert names(merged) == ["b", "a", "server"]
    # An added item takes the place of a deleted one among those the server knows.
    change = {
        "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
        "containers": [{"$patch": "delete", "name": "b"}, {"name": "d"}],
    }
    assert names(pod_spec(containers("a", "b", "c"), change)) == ["a", "d", "c"]
    change = {"$setElementOrder/containers": [{"name": "x"}], "containers": [{"name": "y"}]}
    with pytest.raises(StatusError, match="doesn't match"):
        pod_spec(containers("a"), change)


def test_strategic_primitive_lists() -> None:
    node = model.named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    merged = merge_by_type(node, {"finalizers": ["a", "b"]}, {"finalizers": ["b", "c"]})
    assert sorted(merged["finalizers"]) == ["a", "b", "c"]
    change = {"$deleteFromPrimitiveList/finalizers": ["a"]}
    assert merge_by_type(node, {"finalizers": ["a", "b"]}, change) == {"finalizers": ["b"]}


def test_strategic_retain_keys() -> None:
    deployment = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = strategic_merge_patch(resource("apps", "deployments"), deployment, change)
    assert merged == {"spec": {"strategy": {"type": "Recreate"}}}
    with pytest.raises(BadRequest, match="retainKeys"):
        strategic_merge_patch(
            resource("apps", "deployments"),
            deployment,
            {"spec": {"strategy": {"$retainKeys": ["type"], "other": 1}}},
        )


def test_strategic_needs_the_merge_key_and_type_data() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name") as caught:
        pod_spec(containers("a"), {"containers": [{"image": "x"}]})
    assert caught.value.status_code == 500
    custom = Resource("example.com", "v1", "foos", "foo", "Foo", "FooList", True, builtin=False)
    with pytest.raises(UnsupportedMediaType):
        strategic_merge_patch(custom, {}, {})


def test_recorded_strategic_results(golden: dict[str, Any]) -> None:
    """Patches of the recorded deployment give the recorded containers and strategy."""
    original = {
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {"spec": {"containers": [{"name": "c", "image": "img"}]}},
        }
    }
    for name in ("smp-container-delete", "smp-container-merge", "smp-retain"):
        case = golden[f"patch.{name}"]
        merged = strategic_merge_patch(resource("apps", "deployments"), original, case["send"])
        recorded = case["body"]["spec"]
        assert merged["spec"]["strategy"]["type"] == recorded["strategy"]["type"]
        assert names(merged["spec"]["template"]["spec"]) == names(recorded["template"]["spec"])
