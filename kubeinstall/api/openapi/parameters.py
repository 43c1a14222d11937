"""Query and path parameters of operations, shared by reference where operations share them."""

from __future__ import annotations

from typing import Any, Final

Parameter = dict[str, Any]

_META: Final = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."

#: name in the document: (parameter name, type, place, description)
_SHARED: Final = {
    "allowWatchBookmarks": ("boolean", "query", "Ask a watch for BOOKMARK events."),
    "continue": ("string", "query", "The token of an earlier page, to get the next one."),
    "fieldSelector": ("string", "query", "Only objects whose fields match; default: all."),
    "fieldManager": ("string", "query", "Who is said to own the fields that are set."),
    "force": ("boolean", "query", "Take over fields that others own; for apply only."),
    "gracePeriodSeconds": ("integer", "query", "Seconds until deletion; 0 is at once."),
    "ignoreStoreReadErrorWithClusterBreakingPotential": (
        "boolean",
        "query",
        "Delete an object even if it cannot be read from the store. Unsafe.",
    ),
    "labelSelector": ("string", "query", "Only objects whose labels match; default: all."),
    "limit": ("integer", "query", "At most so many objects in one answer."),
    "namespace": ("string", "path", "The namespace of the object."),
    "orphanDependents": ("boolean", "query", "Deprecated: use propagationPolicy."),
    "path": ("string", "path", "Path to the resource."),
    "pretty": ("string", "query", "If 'true', the answer is indented."),
    "propagationPolicy": (
        "string",
        "query",
        "What happens to dependents: 'Orphan', 'Background' or 'Foreground'.",
    ),
    "resourceVersion": ("string", "query", "At which version to read, see the API concepts."),
    "resourceVersionMatch": ("string", "query", "How resourceVersion is meant, see API concepts."),
    "sendInitialEvents": ("boolean", "query", "Begin a watch with what exists."),
    "timeoutSeconds": ("integer", "query", "How long a list or watch may take."),
    "watch": ("boolean", "query", "Watch for changes instead of listing."),
}
_INLINE: Final = {
    "dryRun": "'All': process the request without storing anything.",
    "fieldValidation": "What to do with unknown and duplicate fields: Ignore, Warn or Strict.",
}

LIST: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
DELETE: Final = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
DELETE_COLLECTION: Final = tuple(sorted({*DELETE, *LIST} - {"allowWatchBookmarks", "watch"}))
WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
PATCH: Final = (*WRITE, "force")

#: Query parameters of `connect` and log requests: text of `name=type`.
OPTIONS: Final = {
    "attach": "container stderr=boolean stdin=boolean stdout=boolean tty=boolean",
    "exec": "command container stderr=boolean stdin=boolean stdout=boolean tty=boolean",
    "portforward": "ports=integer",
    "proxy": "path",
    "log": (
        "container follow=boolean insecureSkipTLSVerifyBackend=boolean limitBytes=integer "
        "previous=boolean sinceSeconds=integer stream tailLines=integer timestamps=boolean"
    ),
}


def shared() -> dict[str, Parameter]:
    """The document's `parameters`."""
    found = {name: _parameter(name, *each) for name, each in _SHARED.items()}
    found["deleteOptions"] = body(_META + "DeleteOptions", required=False)
    found["patch"] = body(_META + "Patch")
    return found


def references(*names: str) -> list[Parameter]:
    """Parameters by name: references to shared ones, others in place."""
    return [
        {"$ref": f"#/parameters/{name}"}
        if name in _SHARED or name in ("deleteOptions", "patch")
        else _parameter(name, "string", "query", _INLINE[name])
        for name in names
    ]


def _parameter(name: str, kind: str, place: str, description: str) -> Parameter:
    found: Parameter = {
        "description": description,
        "in": place,
        "name": name,
        "type": kind,
        "uniqueItems": True,
    }
    if place == "path":
        found["required"] = True
    return found


def body(reference: str, *, required: bool = True) -> Parameter:
    """The request body of that type."""
    found: Parameter = {"in": "body", "name": "body", "schema": {"$ref": reference}}
    return {**found, "required": True} if required else found


def name_of(kind: str) -> Parameter:
    """The object's name in the path."""
    return _parameter("name", "string", "path", f"name of the {kind}")


def options(subresource: str) -> list[Parameter]:
    """The options of a streaming subresource as query parameters."""
    found: list[Parameter] = []
    for text in OPTIONS.get(subresource, "").split():
        name, _, kind = text.partition("=")
        description = f"{name} of the {subresource} request"
        found.append(_parameter(name, kind or "string", "query", description))
    return found
