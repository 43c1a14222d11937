"""Field ownership and server-side apply, against recorded answers and upstream's rules."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinstall.api.apply import (
    ApplyResult,
    custom,
    manager_name,
    only_times_changed,
    server_side_apply,
    update_managed_fields,
)
from kubeinstall.api.apply import fieldset as fs
from kubeinstall.api.resources import Resource, Subresource, find
from kubeinstall.errors import BadRequest, Conflict, StatusError

# What admission and strategies add after ownership is recorded.
LATER = (
    "serviceAccount",
    "tolerations",
    "priority",
    "preemptionPolicy",
    "volumes",
    "volumeMounts",
    "finalizers",
    "clusterIP",
    "ipFamil",
    "nodePort",
    "healthCheckNodePort",
    "controller-uid",
    "job-name",
    ".selector",
    ".labels",
    ".status.error",
)


def resource(group: str, name: str, version: str = "v1") -> Resource:
    found = find(group, version, name)
    assert found is not None
    return found


DEPLOYMENTS = resource("apps", "deployments")
CONFIGMAPS = resource("", "configmaps")


def owned(obj: Any, manager: str, operation: str = "Apply") -> list[str]:
    for entry in obj["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"]) == (manager, operation):
            return list(fs.paths(entry["fieldsV1"]))
    return []


def served(path: str) -> Resource:
    parts = path.partition("?")[0].strip("/").split("/")
    group, version, rest = (
        ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    )
    return resource(
        group, rest[2] if rest[0] == "namespaces" and len(rest) > 2 else rest[0], version
    )


def test_ownership_of_every_recorded_create(golden: dict[str, Any]) -> None:
    exact = 0
    for name, case in golden.items():
        body = case["body"]
        if case["method"] != "POST" or case["status"] != 201 or "metadata" not in body:
            continue
        if "managedFields" not in body["metadata"]:
            continue
        obj = copy.deepcopy(body)
        (want,) = obj["metadata"].pop("managedFields")
        update_managed_fields(served(case["path"]), obj, None, manager=want["manager"], now="*")
        (have,) = obj["metadata"]["managedFields"]
        assert fs.difference(want["fieldsV1"], have["fieldsV1"]) == {}, name
        extra = list(fs.paths(fs.difference(have["fieldsV1"], want["fieldsV1"])))
        assert [path for path in extra if not any(part in path for part in LATER)] == [], name
        exact += have == want
    assert exact >= 50


def live_deployment(golden: dict[str, Any]) -> Any:
    """A deployment as `setup` created it."""
    live = copy.deepcopy(golden["patch.ssa-create"]["body"])
    del live["metadata"]["managedFields"]
    live["metadata"]["name"] = "base"
    update_managed_fields(DEPLOYMENTS, live, None, manager="setup")
    return live


def test_recorded_conflict(golden: dict[str, Any]) -> None:
    case = golden["patch.ssa-conflict"]
    with pytest.raises(Conflict) as caught:
        server_side_apply(DEPLOYMENTS, live_deployment(golden), case["send"], manager="m2")
    assert caught.value.to_status() == case["body"]


def test_recorded_create_by_apply(golden: dict[str, Any]) -> None:
    case = golden["patch.ssa-create"]
    result = server_side_apply(DEPLOYMENTS, None, case["send"], manager="m2", now="*")
    assert result.object["metadata"]["managedFields"] == case["body"]["metadata"]["managedFields"]


def test_force_takes_the_fields_over(golden: dict[str, Any]) -> None:
    config = golden["patch.ssa-conflict"]["send"]
    live = live_deployment(golden)
    result = server_side_apply(DEPLOYMENTS, live, config, manager="m2", force=True)
    assert result.object["spec"]["replicas"] == 7
    assert ".spec.replicas" in owned(result.object, "m2")
    assert ".spec.replicas" not in owned(result.object, "setup", "Update")
    # Fields nobody applied stay.
    assert result.object["spec"]["progressDeadlineSeconds"] == 600


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "d"},
        "data": data,
    }


def apply(live: Any, config: Any, manager: str, **options: Any) -> ApplyResult:
    return server_side_apply(CONFIGMAPS, live, config, manager=manager, **options)


def test_fields_no_longer_applied_go_unless_another_applies_them() -> None:
    first = apply(None, config_map(a="1", b="2", c="3"), "one").object
    both = apply(first, config_map(b="2"), "two").object
    assert owned(both, "one") == [".data.a", ".data.b", ".data.c"]
    last = apply(both, config_map(a="1"), "one").object
    assert last["data"] == {"a": "1", "b": "2"}
    assert owned(last, "one") == [".data.a"]
    assert owned(last, "two") == [".data.b"]


def test_applying_the_same_again_changes_nothing() -> None:
    first = apply(None, config_map(a="1"), "one", now="2026-01-01T00:00:00Z").object
    again = apply(first, config_map(a="1"), "one", now="2026-01-02T00:00:00Z")
    assert again.object == first
    assert not again.changed


def test_losing_the_last_label_keeps_the_rest_of_metadata() -> None:
    config = config_map(a="1")
    config["metadata"]["labels"] = {"x": "y"}
    live = apply(None, config, "one").object
    live["metadata"]["uid"] = "u"
    last = apply(live, config_map(a="1"), "one").object
    assert last["metadata"].keys() == {"name", "namespace", "uid", "managedFields"}
    # A manager that now states only the name owns nothing, and all it had goes.
    bare = config_map()
    del bare["data"]
    last = apply(last, bare, "one").object
    assert last["metadata"]["name"] == "c"
    assert "data" not in last
    assert "managedFields" not in last["metadata"]


def test_list_items_merge_by_key() -> None:
    services = resource("", "services")
    config = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    live = server_side_apply(services, None, config, manager="one").object
    assert '.spec.ports[port=80,protocol="TCP"].port' in owned(live, "one")
    config["spec"] = {"ports": [{"port": 81}]}
    live = server_side_apply(services, live, config, manager="two").object
    assert [port["port"] for port in live["spec"]["ports"]] == [80, 81]
    config["spec"] = {"selector": {"a": "b"}}
    live = server_side_apply(services, live, config, manager="two").object
    assert [port["port"] for port in live["spec"]["ports"]] == [80]


def test_what_does_not_fit_is_refused() -> None:
    config = config_map(a="1") | {"nope": 1}
    with pytest.raises(StatusError, match=r"\.nope: field not declared in schema") as caught:
        apply(None, config, "one")
    assert caught.value.message.startswith(
        "failed to create typed patch object (d/c; v1, Kind=Conf"
    )
    with pytest.raises(BadRequest, match="Incorrect version specified"):
        apply(None, config_map() | {"apiVersion": "v2"}, "one")
    config = config_map()
    config["metadata"]["managedFields"] = []
    with pytest.raises(BadRequest, match="must be nil"):
        apply(None, config, "one")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"image": "x"}]},
    }
    with pytest.raises(StatusError, match='omits key field "name"'):
        server_side_apply(resource("", "pods"), None, pod, manager="one")


def test_kubectl_may_take_over_from_its_client_side_apply() -> None:
    live = config_map(a="1")
    annotation = orjson.dumps(config_map(a="1")).decode()
    live["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": annotation
    }
    update_managed_fields(CONFIGMAPS, live, None, manager="kubectl-client-side-apply")
    result = apply(live, config_map(a="2"), "kubectl").object
    assert result["data"] == {"a": "2"}
    stated = result["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert orjson.loads(stated)["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        apply(live, config_map(a="2"), "other")


def test_updates_take_fields_and_removal_drops_managers() -> None:
    old = config_map(a="1", b="2")
    update_managed_fields(CONFIGMAPS, old, None, manager="one")
    new = copy.deepcopy(old)
    new["data"] = {"a": "9"}
    update_managed_fields(CONFIGMAPS, new, old, manager="two")
    assert owned(new, "one", "Update") == [".data"]
    assert owned(new, "two", "Update") == [".data.a"]
    newest = copy.deepcopy(new)
    del newest["data"]
    update_managed_fields(CONFIGMAPS, newest, new, manager="three")
    assert "managedFields" not in newest["metadata"]


def test_status_writes_own_only_status() -> None:
    pods = resource("", "pods")
    old: Any = {"metadata": {}, "spec": {"containers": [{"name": "c"}]}, "status": {}}
    update_managed_fields(pods, old, None, manager="one")
    new = copy.deepcopy(old)
    new["spec"]["nodeName"] = "ignored"
    new["status"] = {"phase": "Running"}
    update_managed_fields(pods, new, old, manager="kubelet", subresource="status")
    assert owned(new, "kubelet", "Update") == [".status.phase"]
    entries = {entry["manager"]: entry for entry in new["metadata"]["managedFields"]}
    assert entries["kubelet"]["subresource"] == "status"
    # And a main write cannot own status.
    update_managed_fields(pods, newer := copy.deepcopy(new), old, manager="two")
    assert owned(newer, "two", "Update") == [".spec.nodeName"]


def test_reset_and_unreadable_entries() -> None:
    old = config_map(a="1")
    update_managed_fields(CONFIGMAPS, old, None, manager="one")
    new = copy.deepcopy(old)
    new["metadata"]["managedFields"] = [{}]
    update_managed_fields(CONFIGMAPS, new, old, manager="two")
    assert "managedFields" not in new["metadata"]
    new["metadata"]["managedFields"] = [{"operation": "Frob"}]
    update_managed_fields(CONFIGMAPS, new, old, manager="two")
    assert new["metadata"]["managedFields"] == old["metadata"]["managedFields"]


def test_at_most_ten_managers_of_updates() -> None:
    obj = config_map()
    for number in range(15):
        new = copy.deepcopy(obj)
        new["data"][f"k{number:02}"] = "v"
        update_managed_fields(
            CONFIGMAPS, new, obj, manager=f"m{number:02}", now=f"2026-01-{number + 1:02}T00:00:00Z"
        )
        obj = new
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert ".data.k00" in owned(obj, "ancient-changes", "Update")


def test_custom_resources_by_schema() -> None:
    foos = Resource(
        "e.com", "v1", "foos", "foo", "Foo", "FooList", True,
        subresources=(Subresource("status", "Foo", ("get",)),), builtin=False,
    )  # fmt: skip
    items = {"type": "object", "properties": {"id": {"type": "string"}, "v": {"type": "integer"}}}
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "items": {
                        "type": "array",
                        "items": items,
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["id"],
                    }
                },
            }
        },
    }
    config = {
        "apiVersion": "e.com/v1",
        "kind": "Foo",
        "metadata": {"name": "f"},
        "spec": {"items": [{"id": "a", "v": 1}]},
    }
    live = server_side_apply(foos, None, config, manager="m", node=custom(schema)).object
    assert '.spec.items[id="a"].v' in owned(live, "m")
    # Without a schema lists are owned whole.
    live = server_side_apply(foos, None, config, manager="m", node=custom(None)).object
    assert ".spec.items" in owned(live, "m")


def test_manager_names() -> None:
    assert manager_name("", "kubectl/v1.36 (linux)") == "kubectl"
    assert manager_name("me", "kubectl/v1.36") == "me"
    assert manager_name("", "") == "unknown"
    assert len(manager_name("", "x" * 500)) == 128


def test_only_times_changed() -> None:
    old = config_map(a="1")
    update_managed_fields(CONFIGMAPS, old, None, manager="one", now="1")
    new = copy.deepcopy(old)
    new["metadata"]["managedFields"][0]["time"] = "2"
    assert only_times_changed(old, new)
    new["data"]["a"] = "2"
    assert not only_times_changed(old, new)


SETS: st.SearchStrategy[Any] = st.recursive(
    st.just({}),
    lambda below: (
        st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), below, max_size=3).map(lambda d: d)
        | st.dictionaries(st.sampled_from(["f:a", "f:b"]), below, min_size=1).map(
            lambda d: {".": {}, **d}
        )
    ),
    max_leaves=12,
).filter(lambda s: "." not in s)


@given(SETS, SETS)
def test_set_algebra(a: Any, b: Any) -> None:
    left, right = set(fs.paths(a)), set(fs.paths(b))
    assert set(fs.paths(fs.union(a, b))) == left | right
    assert set(fs.paths(fs.difference(a, b))) == left - right
    assert set(fs.paths(fs.intersection(a, b))) == left & right
