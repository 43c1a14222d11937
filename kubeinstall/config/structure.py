"""Shape checks: JSON Schema, with the errors reworded the way Kubernetes words them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from kubeinstall.config.documents import Document, FieldPath
from kubeinstall.config.errors import Problem
from kubeinstall.config.schemas import GROUP, V1BETA3, V1BETA4, schemas

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def structure_problems(document: Document) -> list[Problem]:
    """Everything about a document's shape that is wrong; empty when it is well formed."""
    if not document.kind or not document.api_version:
        return [document.problem((), "apiVersion and kind are required")]
    schema = schemas().get((document.api_version, document.kind))
    if schema is None:
        return [_unknown(document)]
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(schema).iter_errors(document.data)
    return [problem for error in errors for problem in _problems(document, error)]


def _unknown(document: Document) -> Problem:
    known = sorted({kind for version, kind in schemas() if version == document.api_version})
    if known:
        path: FieldPath = ("kind",)
        message = f'Unsupported value: "{document.kind}": {document.api_version} has {_list(known)}'
    elif document.api_version.startswith(f"{GROUP}/"):
        path = ("apiVersion",)
        message = f'Unsupported value: "{document.api_version}": supported: {V1BETA4}, {V1BETA3}'
    else:
        path = ("apiVersion",)
        message = f'Unsupported value: "{document.api_version}"'
    return document.problem(path, message)


def _problems(document: Document, error: ValidationError) -> Iterable[Problem]:
    if error.validator == "anyOf" and error.context:
        # A section or null: what is wrong with the section is what the user wants to hear.
        for inner in error.context:
            if list(inner.schema_path)[:1] == [0]:
                yield from _problems(document, inner)
        return
    path: FieldPath = tuple(error.absolute_path)
    schema = cast("dict[str, Any]", error.schema)
    if error.validator == "additionalProperties":
        known = set(schema.get("properties", {}))
        for name in sorted(set(cast("dict[str, Any]", error.instance)) - known):
            here = (*path, name)
            yield document.problem(here, f'unknown field "{name}"{_suggest(name, known)}')
        return
    if error.validator == "required":
        for name in sorted(set(schema["required"]) - set(cast("dict[str, Any]", error.instance))):
            yield document.problem((*path, name), "Required value")
        return
    yield document.problem(path, _reword(error))


def _reword(error: ValidationError) -> str:
    value = error.instance
    schema = cast("dict[str, Any]", error.schema)
    if error.validator == "enum":
        return f"Unsupported value: {_show(value)}: supported values: {_list(schema['enum'])}"
    if error.validator == "type":
        return f"Invalid value: {_show(value)}: must be of type {error.validator_value}"
    if error.validator == "pattern":
        return f"Invalid value: {_show(value)}: must be {schema.get('description', 'valid')}"
    if error.validator in ("minimum", "maximum"):
        bounds = f"between {schema['minimum']} and {schema['maximum']}"
        return f"Invalid value: {_show(value)}: must be {bounds}"
    return f"Invalid value: {_show(value)}: {error.message}"


def _suggest(name: str, known: set[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _show(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def _list(values: Iterable[Any]) -> str:
    return ", ".join(f'"{value}"' for value in values)
