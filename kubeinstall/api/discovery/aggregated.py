"""The aggregated discovery document: all groups, versions and resources in one answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from kubeinstall.api.discovery.external import External, aggregated
from kubeinstall.api.resources import Resource, Subresource
from kubeinstall.api.types import Object


class Document(NamedTuple):
    """Encoded JSON and its ETag, quotes included."""

    body: bytes
    etag: str


#: The versions served, by the media type that answers carry.
MEDIA_TYPES: Final = {
    version: f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
}


def document(
    groups: list[tuple[str, list[tuple[str, list[Resource]]]]],
    version: str,
    external: Mapping[tuple[str, str], External],
) -> Document:
    """The APIGroupDiscoveryList of `[(group, [(version, resources)])]`, in the order given.

    Group versions in `external` are shown as the other server told them.
    """
    body = orjson.dumps(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": [_group(name, versions, external) for name, versions in groups],
        }
    )
    return Document(body, f'"{hashlib.sha512(body).hexdigest().upper()}"')


def _group(
    name: str,
    versions: list[tuple[str, list[Resource]]],
    external: Mapping[tuple[str, str], External],
) -> Object:
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            _version(version, resources, external.get((name, version)))
            for version, resources in versions
        ],
    }


def _version(version: str, resources: list[Resource], external: External | None) -> Object:
    if external is not None:
        entry: Object = {"version": version, "resources": aggregated(external)}
        return {**entry, "freshness": "Current" if external.fresh else "Stale"}
    return {
        "version": version,
        "resources": [_resource(each) for each in resources],
        "freshness": "Current",
    }


def _resource(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.name,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_subresource(resource, each) for each in resource.subresources]
    return entry


def _subresource(parent: Resource, subresource: Subresource) -> Object:
    group = subresource.group or ("" if subresource.version else parent.group)
    version = subresource.version or parent.version
    return {
        "subresource": subresource.name,
        "responseKind": _kind(group, version, subresource.kind),
        "verbs": sorted(subresource.verbs),
    }


def _kind(group: str, version: str, kind: str) -> dict[str, Any]:
    return {"group": group, "version": version, "kind": kind}
