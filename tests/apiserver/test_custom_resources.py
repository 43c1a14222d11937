"""Custom resources with an unmodified kubectl: from definition to deletion."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.support.apiserver import RunningServer

VERSION: dict[str, Any] = {
    "name": "v1",
    "served": True,
    "storage": True,
    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    "selectableFields": [{"jsonPath": ".spec.color"}],
    "subresources": {
        "status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
    },
    "schema": {
        "openAPIV3Schema": {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["color"],
                    "properties": {
                        "color": {"type": "string", "enum": ["red", "blue"]},
                        "size": {"type": "integer", "minimum": 1, "default": 2},
                    },
                },
                "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
            },
        }
    },
}
SECOND = {"name": "v1beta1", "served": True, "storage": False, "schema": VERSION["schema"]}


def define(server: RunningServer, plural: str) -> None:
    kind = plural.rstrip("s").capitalize()
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.test.example.com"},
        "spec": {
            "group": "test.example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural.rstrip("s"), "kind": kind},
            "versions": [VERSION, SECOND],
        },
    }
    done = server.kubectl("create", "-f", "-", stdin=json.dumps(definition))
    assert done.returncode == 0, done.stderr
    name = f"crd/{plural}.test.example.com"
    done = server.kubectl("wait", "--for=condition=Established", name, "--timeout=10s")
    assert done.returncode == 0, done.stderr


def make(server: RunningServer, kind: str, name: str, **spec: Any) -> Any:
    obj = {
        "apiVersion": "test.example.com/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    return server.kubectl("create", "-f", "-", "--validate=false", stdin=json.dumps(obj))


def read(server: RunningServer, *arguments: str) -> Any:
    done = server.kubectl("get", *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_objects_are_defaulted_pruned_validated_and_printed(api_server: RunningServer) -> None:
    define(api_server, "balls")
    assert make(api_server, "Ball", "a", color="red", nope=1).returncode == 0
    assert read(api_server, "ball", "a")["spec"] == {"color": "red", "size": 2}
    refused = make(api_server, "Ball", "b", color="green", size=0)
    assert (
        'spec.color: Unsupported value: "green": supported values: "red", "blue"' in refused.stderr
    )
    assert (
        "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
        in refused.stderr
    )
    assert "spec.color: Required value" in make(api_server, "Ball", "b").stderr
    table = api_server.kubectl("get", "balls").stdout.split()
    assert table == ["NAME", "SIZE", "a", "2"]


def test_strict_validation_names_unknown_fields(api_server: RunningServer) -> None:
    define(api_server, "bats")
    obj = {
        "apiVersion": "test.example.com/v1",
        "kind": "Bat",
        "metadata": {"name": "a"},
        "spec": {"color": "red", "nope": 1},
    }
    done = api_server.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    assert "nope" in done.stderr
    assert done.returncode != 0


def test_versions_scale_and_status(api_server: RunningServer) -> None:
    define(api_server, "cats")
    assert make(api_server, "Cat", "a", color="red").returncode == 0
    other = read(api_server, "cats.v1beta1.test.example.com")
    assert [item["apiVersion"] for item in other["items"]] == ["test.example.com/v1beta1"]
    assert api_server.kubectl("scale", "cat/a", "--replicas=5").returncode == 0
    changed = read(api_server, "cat", "a")
    assert (changed["spec"]["size"], changed["metadata"]["generation"]) == (5, 2)
    patch = '{"spec":{"size":9},"status":{"size":5}}'
    done = api_server.kubectl(
        "patch", "cat", "a", "--subresource=status", "--type=merge", "-p", patch
    )
    assert done.returncode == 0, done.stderr
    changed = read(api_server, "cat", "a")
    assert (changed["spec"]["size"], changed["status"]) == (5, {"size": 5})


def test_definitions_say_which_fields_can_be_selected(api_server: RunningServer) -> None:
    define(api_server, "hats")
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        assert make(api_server, "Hat", name, color=color).returncode == 0
    kind = "hats.v1.test.example.com"
    found = read(api_server, kind, "--field-selector=spec.color=red")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "c"]
    refused = api_server.kubectl("get", kind, "--field-selector=spec.size=2")
    assert "field label not supported: spec.size" in refused.stderr


def test_names_are_not_taken_twice(api_server: RunningServer) -> None:
    define(api_server, "dogs")
    second = copy.deepcopy(read(api_server, "crd", "dogs.test.example.com"))
    second["metadata"] = {"name": "hounds.test.example.com"}
    second["spec"]["names"] = {"plural": "hounds", "kind": "Dog", "listKind": "HoundList"}
    second.pop("status")
    assert api_server.kubectl("create", "-f", "-", stdin=json.dumps(second)).returncode == 0
    done = api_server.kubectl(
        "wait", "--for=condition=NamesAccepted=false", "crd/hounds.test.example.com", "--timeout=5s"
    )
    assert done.returncode == 0, done.stderr
    assert api_server.kubectl("get", "hounds").returncode != 0


@pytest.mark.parametrize("restart", [False, True])
def test_a_definition_takes_its_objects_with_it(api_server: RunningServer, restart: bool) -> None:
    plural = "eggs" if restart else "figs"
    define(api_server, plural)
    for number in range(3):
        made = make(api_server, plural.rstrip("s").capitalize(), f"x{number}", color="blue")
        assert made.returncode == 0, made.stderr
    if restart:
        api_server.kill()
        api_server.restart()
        assert len(read(api_server, plural)["items"]) == 3
    done = api_server.kubectl("delete", f"crd/{plural}.test.example.com", "--timeout=20s")
    assert done.returncode == 0, done.stderr
    # kubectl may still have the resource in its discovery cache: then the server tells it.
    gone = api_server.kubectl("get", plural).stderr
    assert "doesn't have a resource type" in gone or "could not find the requested resource" in gone
    define(api_server, plural)
    assert read(api_server, plural)["items"] == []


def test_defaults_and_pruning_reach_what_was_stored_before(api_server: RunningServer) -> None:
    define(api_server, "lamps")
    assert make(api_server, "Lamp", "old", color="red", size=3).returncode == 0
    name = "crd/lamps.test.example.com"
    at = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
    patch = [
        {"op": "add", "path": f"{at}/bright", "value": {"type": "string", "default": "yes"}},
        {"op": "remove", "path": f"{at}/size"},
    ]
    done = api_server.kubectl("patch", name, "--type=json", "-p", json.dumps(patch))
    assert done.returncode == 0, done.stderr
    assert read(api_server, "lamp", "old")["spec"] == {"color": "red", "bright": "yes"}
    (found,) = read(api_server, "lamps")["items"]
    assert found["spec"] == {"color": "red", "bright": "yes"}
    assert found["metadata"]["generation"] == 1  # shown so, not written
