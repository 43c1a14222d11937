"""Objects within custom objects (`x-kubernetes-embedded-resource`): apiVersion, kind and metadata of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import path_segment

_EMBEDDED = "x-kubernetes-embedded-resource"
#: Reads metadata: what is left of it, names of unknown fields, and why it is wrong ("" when it is not).
ReadMetadata = Callable[[Any], tuple[Any, list[str], str]]


def has_embedded(schema: Any) -> bool:
    """Whether there may be any."""
    if not isinstance(schema, dict):
        return False
    if schema.get(_EMBEDDED):
        return True
    inner = [schema.get("items"), schema.get("additionalProperties")]
    return any(map(has_embedded, [*inner, *(schema.get("properties") or {}).values()]))


def find(value: Any, schema: Object, path: str = "") -> Iterator[tuple[Object, str]]:
    """Every embedded object below `value`, with its path."""
    if isinstance(value, dict):
        if schema.get(_EMBEDDED):
            yield value, path
        properties: Object = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        for name, member in value.items():
            inner = properties.get(name, extra)
            if isinstance(inner, dict):
                yield from find(member, inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from find(item, schema["items"], f"{path}[{index}]")


def coerce(value: Any, schema: Object, read: ReadMetadata) -> tuple[list[str], str]:
    """Leave in embedded metadata, in place, only what ObjectMeta knows.

    Returns the paths of what was dropped, sorted, and the first thing that is wrong, "" if none is.
    """
    dropped: list[str] = []
    wrong = ""
    for embedded, path in find(value, schema):
        if "metadata" not in embedded:
            continue
        kept, unknown, problem = read(embedded["metadata"])
        wrong = wrong or problem
        embedded["metadata"] = kept
        dropped += [f"{path}.metadata.{name}" for name in unknown]
    return sorted(dropped), wrong


def check(value: Any, schema: Object, errors: Errors) -> None:
    """Each must say what it is, and have a name that can stand in a path."""
    for embedded, path in find(value, schema):
        for field in ("apiVersion", "kind"):
            found = embedded.get(field)
            if not found:
                errors.required(f"{path}.{field}", "must not be empty")
            elif not isinstance(found, str):
                errors.invalid(f"{path}.{field}", found, "must be a string")
        metadata = embedded.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if isinstance(name, str) and name:
            errors.each(f"{path}.metadata.name", name, path_segment(name))
