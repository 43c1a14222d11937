"""The generated type data against upstream's documents, and our tables of Go facts against both."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api import gofacts, gonames, schema

from . import reference


def _bare(definition: dict[str, Any]) -> dict[str, Any]:
    bare: dict[str, Any] = {}
    for key, value in definition.items():
        if key == "properties":
            bare[key] = {name: _bare(each) for name, each in value.items()}
        elif key in {"items", "additionalProperties"}:
            bare[key] = _bare(value)
        elif key != "description":
            bare[key] = value
    return bare


def test_definitions_equal_upstreams_document() -> None:
    documented = reference.document("openapi-v2-v1.36.json")["definitions"]
    assert set(schema.type_names()) == set(documented)
    for name, definition in documented.items():
        assert schema.definition(name) == _bare(definition), name


def test_descriptions_are_upstreams() -> None:
    documented = reference.document("openapi-v2-v1.36.json")["definitions"]
    ours = schema.descriptions()
    pod = documented["io.k8s.api.core.v1.PodSpec"]
    assert ours["io.k8s.api.core.v1.PodSpec"][""] == pod["description"]
    assert (
        ours["io.k8s.api.core.v1.PodSpec"]["containers"]
        == pod["properties"]["containers"]["description"]
    )


@pytest.mark.parametrize(
    "table",
    [
        gofacts.POINTERS,
        gofacts.ALWAYS,
        gofacts.OMITTED,
        gofacts.POINTER_STRUCTS,
        gofacts.VALUE_TIMES,
        {name: " ".join(gonames.names(name)) for name in gonames.NAMES},
    ],
)
def test_tables_name_fields_that_exist(table: dict[str, str]) -> None:
    known = {schema.named(name).short: schema.named(name) for name in schema.type_names()}
    for name, fields in table.items():
        for field in fields.split():
            assert field in known[name].fields, (name, field)


#: Fields with a declared default that are still left out when empty.
_DEFAULTED_YET_OMITTED = {
    ("AzureDiskVolumeSource", "readOnly"),
    ("ConfigMapEnvSource", "name"),
    ("ConfigMapKeySelector", "name"),
    ("ConfigMapProjection", "name"),
    ("ConfigMapVolumeSource", "name"),
    ("FileKeySelector", "optional"),
    ("GRPCAction", "service"),
    ("LocalObjectReference", "name"),
    ("ReplicationControllerSpec", "minReadySeconds"),
    ("ScaleSpec", "replicas"),
    ("SecretEnvSource", "name"),
    ("SecretKeySelector", "name"),
    ("SecretProjection", "name"),
}


def test_zero_defaults_are_encoded() -> None:
    """OpenAPI v3 states a zero default for what is not omitempty: our rules must agree."""
    served = {name for key, name in schema.kinds().items() if key.split("/")[-2] in {"v1", "v2"}}
    omitted: set[tuple[str, str]] = set()
    for name, defaults in reference.document("openapi-v3-defaults.json").items():
        if (
            not any(
                name.startswith(prefix)
                for prefix in ("io.k8s.api.core.v1.", "io.k8s.api.apps.v1.", "io.k8s.api.batch.v1.")
            )
            and name not in served
        ):
            continue
        for field, value in defaults.items():
            if value in ("", 0, False, {}) and not schema.named(name).fields[field].always:
                omitted.add((name.rsplit(".", 1)[-1], field))
    assert omitted <= _DEFAULTED_YET_OMITTED


def test_merge_facts() -> None:
    pod = schema.type_of("", "v1", "Pod")
    assert pod is not None
    spec = schema.named(pod.fields["spec"].shape.type_name)
    containers = spec.fields["containers"]
    assert containers.list_type == "map"
    assert containers.map_keys == ("name",)
    assert containers.merge_key == "name"
    assert containers.patch_strategies == ("merge",)
    assert containers.shape.go_type == "[]v1.Container"
    assert spec.fields["volumes"].patch_strategies == ("merge", "retainKeys")
    assert spec.fields["nodeSelector"].map_type == "atomic"
    assert schema.type_of("", "v1", "Nothing") is None
