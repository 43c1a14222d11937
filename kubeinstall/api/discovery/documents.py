"""Discovery of one set of resources: the built-in ones and, later, custom ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping

from kubeinstall.api.discovery.aggregated import Document, document
from kubeinstall.api.discovery.external import External
from kubeinstall.api.discovery.order import Priorities, sorted_groups, sorted_versions
from kubeinstall.api.resources import Resource, Subresource, builtin
from kubeinstall.api.types import Object


def storage_version_hash(resource: Resource) -> str:
    """What discovery shows of the storage version; clients notice that it changed."""
    group, _, version = resource.storage_version.rpartition("/")
    digest = hashlib.sha256(f"{group}/{version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


class Discovery:
    """Immutable: make a new one when the set of custom resources changes."""

    def __init__(
        self,
        extra: Iterable[Resource] = (),
        external: Mapping[tuple[str, str], External] | None = None,
        priorities: Priorities | None = None,
    ) -> None:
        """`extra` are resources beside the built-in ones, `external` what other servers serve, by
        group and version; `priorities` those that are not the usual ones."""
        self._external = dict(external or {})
        self._priorities = dict(priorities or {})
        self._served: dict[str, dict[str, list[Resource]]] = {}
        for resource in (*builtin(), *extra):
            versions = self._served.setdefault(resource.group, {})
            versions.setdefault(resource.version, []).append(resource)
        for group, version in self._external:
            self._served.setdefault(group, {})[version] = []
        self._aggregated: dict[tuple[bool, str], Document] = {}

    def versions(self, group: str) -> list[str]:
        """Served versions of a group, preferred one first; empty when there is no such group."""
        return sorted_versions(group, self._served.get(group, ()), self._priorities)

    def api_versions(self, server_address: str) -> Object:
        """`/api`. `server_address` is the API server's own "host:port"."""
        return {
            "kind": "APIVersions",
            "versions": self.versions(""),
            "serverAddressByClientCIDRs": [
                {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
            ],
        }

    def groups(self) -> Object:
        """`/apis`: every group but core."""
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [self._group(name) for name in self._names()],
        }

    def _names(self) -> list[str]:
        return [name for name in sorted_groups(self._served, self._priorities) if name]

    def group(self, name: str) -> Object | None:
        """`/apis/<name>`, or None."""
        if not name or name not in self._served:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)}

    def _group(self, name: str) -> Object:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self.versions(name)
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def resources(self, group: str, version: str) -> Object | None:
        """`/apis/<group>/<version>`, `/api/<version>` for the core group "", or None."""
        found = self._served.get(group, {}).get(version)
        if found is None:
            return None
        # Upstream's core list carries no apiVersion.
        head: Object = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
        head["groupVersion"] = f"{group}/{version}" if group else version
        entries: list[Object] = []
        for resource in sorted(found, key=lambda each: each.name):
            entries.append(_resource(resource))
            entries += [_subresource(resource, each) for each in resource.subresources]
        return {**head, "resources": entries}

    def aggregated(self, *, legacy: bool, version: str = "v2") -> Document:
        """The aggregated form of `/api` (`legacy`) or `/apis`, in "v2" or "v2beta1"."""
        key = (legacy, version)
        if key not in self._aggregated:
            names = [""] if legacy else self._names()
            self._aggregated[key] = document(
                [(name, self._by_version(name)) for name in names], version, self._external
            )
        return self._aggregated[key]

    def _by_version(self, group: str) -> list[tuple[str, list[Resource]]]:
        return [
            (version, sorted(self._served[group][version], key=lambda each: each.name))
            for version in self.versions(group)
        ]


def _resource(resource: Resource) -> Object:
    entry: Object = {
        "name": resource.name,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.stored:
        entry["storageVersionHash"] = storage_version_hash(resource)
    return entry


def _subresource(parent: Resource, subresource: Subresource) -> Object:
    entry: Object = {
        "name": f"{parent.name}/{subresource.name}",
        "singularName": "",
        "namespaced": parent.namespaced,
    }
    if subresource.version:
        entry["group"] = subresource.group
        entry["version"] = subresource.version
    entry["kind"] = subresource.kind
    entry["verbs"] = sorted(subresource.verbs)
    return entry
