"""Building and keeping the documents."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from kubeinstall.api import schema
from kubeinstall.api.bundle import KUBERNETES
from kubeinstall.api.openapi import external as externals
from kubeinstall.api.openapi import gnostic, parameters, v3
from kubeinstall.api.openapi.custom import custom_definition
from kubeinstall.api.openapi.definitions import (
    Definition,
    closure,
    custom_list,
)
from kubeinstall.api.openapi.paths import Builder, CustomType, Paths, definition_name, general
from kubeinstall.api.resources import Resource, builtin

V2_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

#: Changes whenever what is generated from the same resources does, so that clients' caches notice.
_GENERATION: Final = "2"


class Document(NamedTuple):
    """Bytes and their ETag, quotes included."""

    body: bytes
    etag: str


class OpenAPI:
    """Documents of the built-in resources and `extra` ones; immutable, make a new one on change."""

    def __init__(
        self,
        extra: Iterable[CustomType] = (),
        external: Iterable[externals.ExternalOpenAPI] = (),
    ) -> None:
        self._external = list(external)
        self._served: dict[tuple[str, str], list[Resource]] = {}
        self._custom = {
            (each.resource.group, each.resource.version, each.resource.kind): each for each in extra
        }
        for resource in (*builtin(), *(each.resource for each in self._custom.values())):
            self._served.setdefault((resource.group, resource.version), []).append(resource)
        self._kept: dict[str, tuple[bytes, str]] = {}

    def v2_json(self) -> Document:
        """`/openapi/v2`."""
        return self._keep("v2.json", lambda: orjson.dumps(self._v2()))

    def v2_protobuf(self) -> Document:
        """`/openapi/v2` as `V2_PROTOBUF`."""
        return self._keep("v2.pb", lambda: gnostic.encode(self._v2()))

    def v3_index(self) -> Document:
        """`/openapi/v3`: the documents and hashes that change when they do."""
        paths: dict[str, Any] = {}
        for name in self._names():
            url = f"/openapi/v3/{name}?hash={self.v3_hash(name)}"
            paths[name] = {"serverRelativeURL": url}
        for one in self._external:
            if one.v3_url:
                paths[one.name] = {"serverRelativeURL": one.v3_url}
        body = orjson.dumps({"paths": dict(sorted(paths.items()))})
        return Document(body, _etag(body))

    def v3(self, name: str) -> Document | None:
        """`/openapi/v3/<name>`, such as "api/v1", "apis/apps/v1", "version"; None if not served."""
        paths = self._paths(name)
        if paths is None:
            return None
        document = self._keep(
            name, lambda: orjson.dumps(v3.document(paths, self._definitions(v2=False)))
        )
        return Document(document.body, f'"{self.v3_hash(name)}"')

    def v3_hash(self, name: str) -> str:
        """The `hash` of a document in the index, known without building it."""
        digest = hashlib.sha512(f"{KUBERNETES} {_GENERATION} {name}".encode())
        for resource in self._resources(name):
            custom = self._custom.get((resource.group, resource.version, resource.kind))
            digest.update(repr(resource).encode())
            if custom is not None:
                digest.update(orjson.dumps(custom.schema, option=orjson.OPT_SORT_KEYS))
        return digest.hexdigest().upper()

    def _names(self) -> list[str]:
        versions = [
            f"apis/{group}/{version}" if group else f"api/{version}"
            for group, version in self._served
        ]
        groups = {f"apis/{group}" for group, _ in self._served if group}
        return ["api", "apis", "version", *groups, *versions]

    def _resources(self, name: str) -> list[Resource]:
        parts = name.split("/")
        if parts[0] == "api" and len(parts) == 2:
            return self._served.get(("", parts[1]), [])
        if parts[0] == "apis" and len(parts) == 3:
            return self._served.get((parts[1], parts[2]), [])
        return []

    def _paths(self, name: str) -> Paths | None:
        resources = self._resources(name)
        if resources:
            builder = Builder(resources[0].group, resources[0].version)
            builder.discovery()
            for resource in resources:
                builder.resource(resource)
            return builder.paths
        path = f"/{name}/"
        whole = general({group for group, _ in self._served})
        return {path: whole[path]} if path in whole else None

    def _definitions(self, *, v2: bool) -> dict[str, Definition]:
        known: dict[str, Definition] = {}
        for custom in self._custom.values():
            resource = custom.resource
            group, version = resource.group, resource.version
            known[definition_name(group, version, resource.kind)] = custom_definition(custom, v2=v2)
            known[definition_name(group, version, resource.list_kind)] = custom_list(custom)
        return known

    def _v2(self) -> dict[str, Any]:
        paths = general({group for group, _ in self._served})
        for group, version in self._served:
            name = f"apis/{group}/{version}" if group else f"api/{version}"
            paths.update(self._paths(name) or {})
        known = self._definitions(v2=True)
        names = {*schema.type_names(), *known}
        document: dict[str, Any] = {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": "unversioned"},
            "paths": dict(sorted(paths.items())),
            "definitions": dict(sorted(closure(names, known).items())),
            "parameters": parameters.shared(),
            "security": [{"BearerToken": []}],
            "securityDefinitions": {
                "BearerToken": {
                    "description": "Bearer Token authentication",
                    "in": "header",
                    "name": "authorization",
                    "type": "apiKey",
                }
            },
        }
        for one in self._external:
            if one.swagger is not None:
                externals.merge(document, one.swagger, f"/{one.name}")
        return document

    def _keep(self, name: str, build: Callable[[], bytes]) -> Document:
        """Build once; kept deflated, documents are megabytes of text that shrinks tenfold."""
        if name not in self._kept:
            body = build()
            self._kept[name] = (zlib.compress(body, 1), _etag(body))
            return Document(body, self._kept[name][1])
        packed, etag = self._kept[name]
        return Document(zlib.decompress(packed), etag)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha512(body).hexdigest().upper()}"'
