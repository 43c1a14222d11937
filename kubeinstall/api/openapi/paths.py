"""Paths and operations of one group version, in OpenAPI v2 form, as upstream names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from kubeinstall.api import schema
from kubeinstall.api.openapi import parameters
from kubeinstall.api.resources import Resource, Subresource

Paths = dict[str, dict[str, Any]]

_JSON: Final = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
_WATCH: Final = [
    *_JSON,
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
]
_PATCHES: Final = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CONNECT: Final = {
    "create": ("post",),
    "delete": ("delete",),
    "get": ("get",),
    "patch": ("patch",),
    "update": ("put",),
}
_CONNECTED: Final = ("attach", "exec", "portforward", "proxy")


class CustomType(NamedTuple):
    """A CustomResource's resource and its `openAPIV3Schema` (None: none)."""

    resource: Resource
    schema: dict[str, Any] | None


class Operation(NamedTuple):
    """What differs between operations."""

    method: str
    action: str
    name: str
    description: str
    result: str
    codes: tuple[int, ...] = (200,)
    parameters: tuple[str, ...] = ()
    body: str = ""
    produces: tuple[str, ...] = tuple(_JSON)


def group_name(group: str) -> str:
    """`Core`, `Apps`, `RbacAuthorization`: how operation names call a group."""
    if not group:
        return "Core"
    words = group.removesuffix(".k8s.io").replace("-", ".").split(".")
    return "".join(word[:1].upper() + word[1:] for word in words)


def _version_name(version: str) -> str:
    return version[:1].upper() + version[1:]


def tag(group: str, version: str = "") -> str:
    """`apps_v1`."""
    name = group_name(group)
    name = name[:1].lower() + name[1:]
    return f"{name}_{version}" if version else name


def definition_name(group: str, version: str, kind: str) -> str:
    """The definition of a kind: a built-in one's, else the reversed group, as upstream names CRDs'."""
    found = schema.type_name(group, version, kind)
    if found is not None:
        return found
    return ".".join([*reversed(group.split(".")), version, kind])


class Builder:
    """Makes the paths of one group version."""

    def __init__(self, group: str, version: str) -> None:
        self.group, self.version = group, version
        self.prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        self.name = group_name(group) + _version_name(version)
        self.paths: Paths = {}

    def resource(self, resource: Resource) -> None:
        """Add every path of a resource."""
        spaced = "Namespaced" if resource.namespaced else ""
        space = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"{self.prefix}{space}/{resource.name}"
        self._collection(resource, collection, spaced)
        single = f"{collection}/{{name}}"
        operations = list(self._single(resource, spaced))
        if operations:
            self._add(single, resource, operations, name=resource.kind)
        for subresource in resource.subresources:
            self._subresource(resource, subresource, single, spaced)
        if "watch" in resource.verbs:
            self._watches(resource, space, spaced)

    def _collection(self, resource: Resource, path: str, spaced: str) -> None:
        kind = definition_name(self.group, self.version, resource.kind)
        operations: list[Operation] = []
        if "deletecollection" in resource.verbs:
            operations.append(
                Operation(
                    "delete",
                    "deletecollection",
                    f"delete{self.name}Collection{spaced}{resource.kind}",
                    f"delete collection of {resource.kind}",
                    _META + "Status",
                    parameters=("deleteOptions", *parameters.DELETE_COLLECTION),
                )
            )
        if "list" in resource.verbs:
            operations.append(self._list(resource, f"list{self.name}{spaced}{resource.kind}"))
        if "create" in resource.verbs:
            operations.append(
                Operation(
                    "post",
                    "post",
                    f"create{self.name}{spaced}{resource.kind}",
                    f"create a {resource.kind}",
                    kind,
                    (200, 201, 202),
                    parameters.WRITE,
                    kind,
                )
            )
        if operations:
            self._add(path, resource, operations)
        if resource.namespaced and "list" in resource.verbs:
            everywhere = f"list{self.name}{resource.kind}ForAllNamespaces"
            self._add(
                f"{self.prefix}/{resource.name}", resource, [self._list(resource, everywhere)],
                spaced=False,
            )  # fmt: skip

    def _list(self, resource: Resource, name: str) -> Operation:
        return Operation(
            "get",
            "list",
            name,
            f"list or watch objects of kind {resource.kind}",
            definition_name(self.group, self.version, resource.list_kind),
            parameters=parameters.LIST,
            produces=tuple(_WATCH if "watch" in resource.verbs else _JSON),
        )

    def _single(self, resource: Resource, spaced: str) -> Iterator[Operation]:
        kind = definition_name(self.group, self.version, resource.kind)
        what = f"{self.name}{spaced}{resource.kind}"
        if "delete" in resource.verbs:
            yield Operation(
                "delete",
                "delete",
                f"delete{what}",
                f"delete a {resource.kind}",
                kind if resource.kind in _DELETED else _META + "Status",
                (200, 202),
                ("deleteOptions", *parameters.DELETE),
            )
        yield from self._read_write(resource.verbs, what, kind, f"the specified {resource.kind}")

    def _read_write(
        self, verbs: Iterable[str], what: str, kind: str, thing: str
    ) -> Iterator[Operation]:
        if "get" in verbs:
            yield Operation("get", "get", f"read{what}", f"read {thing}", kind)
        if "patch" in verbs:
            yield Operation(
                "patch",
                "patch",
                f"patch{what}",
                f"partially update {thing}",
                kind,
                (200, 201),
                ("patch", *parameters.PATCH),
            )
        if "update" in verbs:
            yield Operation(
                "put",
                "put",
                f"replace{what}",
                f"replace {thing}",
                kind,
                (200, 201),
                parameters.WRITE,
                kind,
            )

    def _subresource(
        self, parent: Resource, subresource: Subresource, single: str, spaced: str
    ) -> None:
        path = f"{single}/{subresource.name}"
        group = subresource.group if subresource.version else self.group
        version = subresource.version or self.version
        gvk = {"group": group, "kind": subresource.kind, "version": version}
        suffix = subresource.name[:1].upper() + subresource.name[1:]
        what = f"{self.name}{{}}{spaced}{parent.kind}{suffix}"
        if subresource.name in _CONNECTED:
            self._connect(path, parent, subresource, what, gvk)
            return
        kind = definition_name(group, version, subresource.kind)
        thing = f"{subresource.name} of the specified {parent.kind}"
        operations = list(self._read_write(subresource.verbs, what.format(""), kind, thing))
        if "create" in subresource.verbs:
            operations.append(
                Operation(
                    "post",
                    "post",
                    f"create{what.format('')}",
                    f"create {subresource.name} of a {parent.kind}",
                    kind,
                    (200, 201, 202),
                    parameters.WRITE,
                    kind,
                )
            )
        self._add(path, parent, operations, name=subresource.kind, gvk=gvk)
        if subresource.name == "log":
            self.paths[path]["parameters"] += parameters.options("log")
            self.paths[path]["get"]["produces"] = ["text/plain", *_JSON]
            self.paths[path]["get"]["responses"]["200"]["schema"] = {"type": "string"}

    def _connect(
        self, path: str, parent: Resource, subresource: Subresource, what: str, gvk: dict[str, str]
    ) -> None:
        methods = [method for verb in subresource.verbs for method in _CONNECT[verb]]
        if subresource.name == "proxy":
            methods += ["head", "options"]
        tails = [("", "")] if subresource.name != "proxy" else [("", ""), ("/{path}", "WithPath")]
        for tail, ending in tails:
            operations = [
                Operation(
                    method,
                    "connect",
                    f"connect{what.format(method.capitalize())}{ending}",
                    f"connect {method.upper()} requests to {subresource.name} of {parent.kind}",
                    "",
                    produces=("*/*",),
                )
                for method in sorted(methods)
            ]
            self._add(path + tail, parent, operations, name=subresource.kind, gvk=gvk)
            common = self.paths[path + tail]["parameters"]
            common += parameters.options(subresource.name)
            if tail:
                common += parameters.references("path")

    def _watches(self, resource: Resource, space: str, spaced: str) -> None:
        watch = f"{self.prefix}/watch"
        event = _META + "WatchEvent"

        def operation(name: str, action: str) -> list[Operation]:
            text = (
                f"watch changes to {resource.kind}; deprecated: use the 'watch' parameter of list"
            )
            return [Operation("get", action, name, text, event, produces=tuple(_WATCH))]

        many = operation(f"watch{self.name}{spaced}{resource.kind}List", "watchlist")
        one = operation(f"watch{self.name}{spaced}{resource.kind}", "watch")
        path = f"{watch}{space}/{resource.name}"
        self._add(path, resource, many)
        self._add(f"{path}/{{name}}", resource, one, name=resource.kind)
        added = [path, f"{path}/{{name}}"]
        if resource.namespaced:
            path = f"{watch}/{resource.name}"
            name = f"watch{self.name}{resource.kind}ListForAllNamespaces"
            self._add(path, resource, operation(name, "watchlist"), spaced=False)
            added.append(path)
        for path in added:
            self.paths[path]["parameters"] += parameters.references(*parameters.LIST)

    def _add(
        self,
        path: str,
        resource: Resource,
        operations: list[Operation],
        *,
        name: str = "",
        spaced: bool = True,
        gvk: dict[str, str] | None = None,
    ) -> None:
        common = [parameters.name_of(name)] if name else []
        wanted = ["namespace"] if resource.namespaced and spaced else []
        common += parameters.references(*wanted, "pretty")
        item: dict[str, Any] = {"parameters": common}
        kind = gvk or {"group": self.group, "kind": resource.kind, "version": self.version}
        for operation in operations:
            item[operation.method] = self._operation(operation, kind, resource)
        self.paths[path] = item

    def _operation(
        self, operation: Operation, gvk: dict[str, str], resource: Resource
    ) -> dict[str, Any]:
        consumes = ["*/*"]
        if operation.action == "patch":
            consumes = [p for p in _PATCHES if resource.builtin or "strategic" not in p]
        found: dict[str, Any] = {
            "consumes": consumes,
            "description": operation.description,
            "operationId": operation.name,
            "produces": list(operation.produces),
            "responses": _responses(operation),
            "schemes": ["https"],
            "tags": [tag(self.group, self.version)],
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind": gvk,
        }
        inputs = parameters.references(*operation.parameters)
        if operation.body:
            inputs.insert(0, parameters.body(f"#/definitions/{operation.body}"))
        if inputs:
            found["parameters"] = inputs
        return found

    def discovery(self) -> None:
        """Add the path of the version's resource list."""
        self.paths[f"{self.prefix}/"] = _document_path(
            f"get{self.name}APIResources", "get available resources", "APIResourceList",
            tag(self.group, self.version),
        )  # fmt: skip


#: Kinds whose deletion answers with the object; all others answer with a Status.
_DELETED: Final = frozenset(
    {
        "Pod",
        "PodTemplate",
        "ServiceAccount",
        "Service",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "CSIDriver",
        "CSINode",
        "StorageClass",
        "VolumeAttachment",
        "VolumeAttributesClass",
        "DeviceClass",
        "ResourceClaim",
        "ResourceClaimTemplate",
        "ResourceSlice",
    }
)
_REASONS: Final = {200: "OK", 201: "Created", 202: "Accepted"}


def _responses(operation: Operation) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "string"}
    if operation.result:
        result = {"$ref": f"#/definitions/{operation.result}"}
    found: dict[str, Any] = {
        str(code): {"description": _REASONS[code], "schema": result} for code in operation.codes
    }
    return {**found, "401": {"description": "Unauthorized"}}


def _document_path(name: str, description: str, result: str, tags: str) -> dict[str, Any]:
    return {
        "get": {
            "consumes": _JSON,
            "description": description,
            "operationId": name,
            "produces": _JSON,
            "responses": {
                "200": {
                    "description": "OK",
                    "schema": {"$ref": f"#/definitions/{_META}{result}"},
                },
                "401": {"description": "Unauthorized"},
            },
            "schemes": ["https"],
            "tags": [tags],
        }
    }


def general(groups: Iterable[str]) -> Paths:
    """Paths that belong to no version: `/api/`, `/apis/`, `/apis/G/`, `/version/`."""
    paths: Paths = {
        "/api/": _document_path(
            "getCoreAPIVersions", "get available API versions", "APIVersions", "core"
        ),
        "/apis/": _document_path(
            "getAPIVersions", "get available API versions", "APIGroupList", "apis"
        ),
    }
    for group in groups:
        if group:
            paths[f"/apis/{group}/"] = _document_path(
                f"get{group_name(group)}APIGroup", "get information of a group", "APIGroup",
                tag(group),
            )  # fmt: skip
    version = _document_path("getCodeVersion", "get the version of this server", "", "version")
    schema_of = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.version.Info"}
    version["get"]["responses"]["200"]["schema"] = schema_of
    version["get"]["produces"] = version["get"]["consumes"] = ["application/json"]
    paths["/version/"] = version
    return paths
