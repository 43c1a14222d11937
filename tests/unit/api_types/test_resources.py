"""The table of built-in resources against upstream's OpenAPI document and discovery."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubeinstall.api import resources

from . import reference

_PATH = re.compile(
    r"^/(?:api|apis/([^/]+))/([^/]+)/(?:namespaces/\{namespace\}/)?([^/{]+)(?:/\{name\})?(?:/([^{]*))?"
    r"(?:/\{path\})?$"
)
_ACTIONS = {"post": "create", "put": "update"}


def _documented() -> dict[tuple[str, str, str, str], tuple[str, set[str]]]:
    found: dict[tuple[str, str, str, str], tuple[str, set[str]]] = {}
    for path, methods in reference.document("openapi-v2-v1.36.json")["paths"].items():
        match = _PATH.match(path)
        # GA versions only: that is what upstream serves unless told otherwise.
        if match is None or "/watch/" in path or match[2] not in {"v1", "v2"}:
            continue
        for method, operation in methods.items():
            action = operation.get("x-kubernetes-action") if method != "parameters" else None
            if action is None:
                continue
            verb = method if action == "connect" else action
            if verb in {"head", "options"}:
                continue
            kind = operation["x-kubernetes-group-version-kind"]["kind"]
            key = (match[1] or "", match[2], match[3], match[4] or "")
            found.setdefault(key, (kind, set()))[1].add(_ACTIONS.get(verb, verb))
    return found


def test_table_equals_upstreams_paths() -> None:
    ours: dict[tuple[str, str, str, str], tuple[str, set[str]]] = {}
    for one in resources.builtin():
        ours[(one.group, one.version, one.name, "")] = (one.kind, set(one.verbs) - {"watch"})
        for sub in one.subresources:
            ours[(one.group, one.version, one.name, sub.name)] = (sub.kind, set(sub.verbs))
    assert ours == _documented()


@pytest.mark.parametrize(
    ("case", "group", "version"), [("get.api.v1", "", "v1"), ("get.apis.apps.v1", "apps", "v1")]
)
def test_discovery_facts(case: str, group: str, version: str) -> None:
    listed = reference.golden()[case]["body"]["resources"]
    ours: list[dict[str, Any]] = []
    for one in resources.builtin():
        if (one.group, one.version) != (group, version):
            continue
        entry: dict[str, Any] = {
            "kind": one.kind,
            "name": one.name,
            "namespaced": one.namespaced,
            "singularName": one.singular,
            "verbs": list(one.verbs),
        }
        if one.short_names:
            entry["shortNames"] = list(one.short_names)
        if one.categories:
            entry["categories"] = list(one.categories)
        if one.stored:
            entry["storageVersionHash"] = "*"
        ours.append(entry)
        for sub in one.subresources:
            entry = {
                "kind": sub.kind,
                "name": f"{one.name}/{sub.name}",
                "namespaced": one.namespaced,
                "singularName": "",
                "verbs": list(sub.verbs),
            }
            if sub.group:
                entry |= {"group": sub.group, "version": sub.version}
            ours.append(entry)
    assert sorted(ours, key=lambda e: e["name"]) == sorted(listed, key=lambda e: e["name"])


def test_lookups() -> None:
    deployment = resources.find("apps", "v1", "deployments")
    assert deployment is not None
    assert deployment.api_version == "apps/v1"
    assert deployment.group_resource == "deployments.apps"
    assert resources.find_kind("apps", "v1", "Deployment") is deployment
    assert resources.find("apps", "v2", "deployments") is None
    assert resources.find_kind("", "v1", "Deployment") is None


def test_storage_versions() -> None:
    old = resources.find("autoscaling", "v1", "horizontalpodautoscalers")
    assert old is not None
    assert resources.find_storage(old).version == "v2"
    event = resources.find("events.k8s.io", "v1", "events")
    assert event is not None
    assert resources.find_storage(event).api_version == "v1"
    assert [one.version for one in resources.served_versions("autoscaling", old.name)] == [
        "v2",
        "v1",
    ]
    review = resources.find("authentication.k8s.io", "v1", "tokenreviews")
    assert review is not None
    assert not review.stored
