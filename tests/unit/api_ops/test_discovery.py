"""Discovery documents against recorded ones and upstream's order."""

from __future__ import annotations

from typing import Any

import orjson

from kubeinstall.api.discovery import Discovery, storage_version_hash
from kubeinstall.api.resources import Resource, find


def starred(document: Any) -> Any:
    for each in document["resources"]:
        if "storageVersionHash" in each:
            each["storageVersionHash"] = "*"
    return document


def test_recorded_resource_lists(golden: dict[str, Any]) -> None:
    discovery = Discovery()
    assert starred(discovery.resources("", "v1")) == golden["get.api.v1"]["body"]
    assert starred(discovery.resources("apps", "v1")) == golden["get.apis.apps.v1"]["body"]
    assert discovery.resources("apps", "v9") is None


def test_storage_version_hash_is_upstreams() -> None:
    pods = find("", "v1", "pods")
    assert pods is not None
    assert storage_version_hash(pods) == "xPOwRZ+Yhw8="


def test_groups_and_order() -> None:
    discovery = Discovery()
    names = [group["name"] for group in discovery.groups()["groups"]]
    assert names[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    autoscaling = discovery.group("autoscaling")
    assert autoscaling is not None
    assert autoscaling["preferredVersion"]["version"] == "v2"
    assert discovery.group("nope") is None
    assert discovery.api_versions("a:1")["versions"] == ["v1"]


def test_custom_resources_join() -> None:
    custom = [
        Resource("e.com", version, "foos", "foo", "Foo", "FooList", True, builtin=False)
        for version in ("v1alpha1", "v1beta2", "v1", "v1beta10", "other")
    ]
    discovery = Discovery(custom)
    assert discovery.versions("e.com") == ["v1", "v1beta10", "v1beta2", "v1alpha1", "other"]
    assert discovery.groups()["groups"][-1]["name"] == "e.com"


def test_aggregated() -> None:
    discovery = Discovery()
    core = orjson.loads(discovery.aggregated(legacy=True).body)
    (pods,) = [r for r in core["items"][0]["versions"][0]["resources"] if r["resource"] == "pods"]
    assert pods["responseKind"] == {"group": "", "version": "v1", "kind": "Pod"}
    eviction = next(s for s in pods["subresources"] if s["subresource"] == "eviction")
    assert eviction["responseKind"]["group"] == "policy"
    groups = discovery.aggregated(legacy=False, version="v2beta1")
    assert orjson.loads(groups.body)["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert groups.etag != discovery.aggregated(legacy=False).etag
