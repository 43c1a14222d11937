"""One group version's document in OpenAPI v3."""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api.openapi import parameters
from kubeinstall.api.openapi.definitions import closure, references, to_v3

_OLD: Final = "#/definitions/"
_NEW: Final = "#/components/schemas/"
_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put")


def document(paths: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The document of v2 paths; `known` are definitions of custom resources."""
    shared = parameters.shared()
    names: set[str] = set()
    references(paths, names)
    references(shared, names)
    schemas = {name: to_v3(name, each) for name, each in closure(names, known).items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": {path: _item(item, shared) for path, item in sorted(paths.items())},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
        },
    }


def _item(item: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for method, value in item.items():
        if method == "parameters":
            found[method] = [_parameter(_resolve(each, shared)) for each in value]
        elif method in _METHODS:
            found[method] = _operation(value, shared)
    return found


def _resolve(parameter: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    reference = parameter.get("$ref")
    found: dict[str, Any] = shared[reference.rpartition("/")[2]] if reference else parameter
    return found


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    found = {k: v for k, v in parameter.items() if k not in ("type", "uniqueItems")}
    found["schema"] = {"type": parameter["type"], "uniqueItems": True}
    return found


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    return {"$ref": value["$ref"].replace(_OLD, _NEW)} if "$ref" in value else value


def _operation(operation: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    copied = ("tags", "description", "operationId")
    found: dict[str, Any] = {
        key: value for key, value in operation.items() if key in copied or key.startswith("x-")
    }
    inputs = [_resolve(each, shared) for each in operation.get("parameters", ())]
    queries = [_parameter(each) for each in inputs if each["in"] != "body"]
    if queries:
        found["parameters"] = queries
    for each in inputs:
        if each["in"] == "body":
            content = {kind: {"schema": _schema(each["schema"])} for kind in operation["consumes"]}
            found["requestBody"] = {"content": content}
            if each.get("required"):
                found["requestBody"]["required"] = True
    found["responses"] = {
        code: _response(each, operation["produces"])
        for code, each in operation["responses"].items()
    }
    return found


def _response(response: dict[str, Any], produces: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": response["description"]}
    if "schema" in response:
        found["content"] = {kind: {"schema": _schema(response["schema"])} for kind in produces}
    return found
