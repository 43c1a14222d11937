"""Validation of objects by an OpenAPI v3 schema, in the words of upstream's validator (kube-openapi).

spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from kubeinstall.api.custom.formats import format_error
from kubeinstall.api.custom.ratcheting import ABSENT, old_item, old_member, unchanged
from kubeinstall.api.regex import regex
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors, shown
from kubeinstall.errors import FieldError

_TYPE_NAMES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def check(
    value: Any, schema: Object, path: str, errors: list[FieldError], old: Any = ABSENT
) -> None:
    """Append everything that is wrong with `value` to `errors`, parts that are as in `old` apart."""
    found = Errors()
    _check(value, schema, path, found, old)
    errors.extend(found)


def _check(value: Any, schema: Object, path: str, errors: Errors, old: Any = ABSENT) -> None:
    if old is not ABSENT and unchanged(value, old):
        return
    if value is None and schema.get("nullable"):
        return
    if not _check_type(value, schema, path, errors):
        return
    _check_enum(value, schema, path, errors)
    if isinstance(value, str):
        _check_string(value, schema, path, errors)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, path, errors)
    elif isinstance(value, list):
        _check_list(value, schema, path, errors, old)
    elif isinstance(value, dict):
        _check_object(value, schema, path, errors, old)
    _check_junctors(value, schema, path, errors)


def _check_type(value: Any, schema: Object, path: str, errors: Errors) -> bool:
    """False when the type is wrong: nothing else makes sense then."""
    wanted = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return True
        wanted = "integer,string"
    if not wanted:
        return True
    found = _TYPE_NAMES[type(value)]
    if found == wanted or (wanted == "number" and found == "integer"):
        return True
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        return True
    errors.invalid(path or "<nil>", found, f'{_body(path)} must be of type {wanted}: "{found}"')
    return False


def _body(path: str) -> str:
    return f"{path} in body" if path else "in body"


def _check_enum(value: Any, schema: Object, path: str, errors: Errors) -> None:
    known = schema.get("enum")
    if known is not None and not any(value == item and type(value) is type(item) for item in known):
        texts = [item if isinstance(item, str) else shown(item) for item in known]
        errors.not_supported(path, value, texts)


def _check_string(value: str, schema: Object, path: str, errors: Errors) -> None:
    longest, shortest, pattern = (
        schema.get("maxLength"),
        schema.get("minLength"),
        schema.get("pattern"),
    )
    if longest is not None and len(value) > longest:
        errors.too_long(path, longest)
    if shortest is not None and len(value) < shortest:
        errors.invalid(path, value, f"{_body(path)} should be at least {shortest} chars long")
    if pattern and not regex(pattern).matches(value):
        errors.invalid(path, value, f"{_body(path)} should match '{pattern}'")
    kind = schema.get("format")
    if kind and format_error(kind, value):
        errors.invalid(path, value, f"{_body(path)} must be of type {kind}: {shown(value)}")


def _check_number(value: float, schema: Object, path: str, errors: Errors) -> None:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None:
        exclusive = schema.get("exclusiveMinimum")
        if value < low or (exclusive and value == low):
            words = "greater than" if exclusive else "greater than or equal to"
            errors.invalid(path, value, f"{_body(path)} should be {words} {_plain(low)}")
    if high is not None:
        exclusive = schema.get("exclusiveMaximum")
        if value > high or (exclusive and value == high):
            words = "less than" if exclusive else "less than or equal to"
            errors.invalid(path, value, f"{_body(path)} should be {words} {_plain(high)}")
    if step and Decimal(str(value)) % Decimal(str(step)) != 0:
        errors.invalid(path, value, f"{_body(path)} should be a multiple of {_plain(step)}")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _check_list(value: list[Any], schema: Object, path: str, errors: Errors, old: Any) -> None:
    most, least, items = schema.get("maxItems"), schema.get("minItems"), schema.get("items")
    if most is not None and len(value) > most:
        errors.too_many(path, len(value), most)
    if least is not None and len(value) < least:
        errors.invalid(path, len(value), f"{_body(path)} should have at least {least} items")
    if isinstance(items, dict):
        for index, one in enumerate(value):
            _check(one, items, f"{path}[{index}]", errors, old_item(schema, one, old))
    _check_list_type(value, schema, path, errors)


def _check_list_type(value: list[Any], schema: Object, path: str, errors: Errors) -> None:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in {"set", "map"}:
        return
    keys = schema.get("x-kubernetes-list-map-keys") or []
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        part = (
            {key: item.get(key) for key in keys if key in item}
            if kind == "map" and isinstance(item, dict)
            else item
        )
        mark = orjson.dumps(part, option=orjson.OPT_SORT_KEYS)
        if mark in seen:
            errors.duplicate(f"{path}[{index}]", part)
        seen.add(mark)


def _check_object(value: Object, schema: Object, path: str, errors: Errors, old: Any) -> None:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        errors.too_many(path, len(value), most)
    if least is not None and len(value) < least:
        errors.invalid(path, len(value), f"{_body(path)} should have at least {least} properties")
    for name in schema.get("required") or []:
        if name not in value:
            errors.required(_join(path, name))
    properties: Object = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name, one in value.items():
        if name in properties:
            _check(one, properties[name], _join(path, name), errors, old_member(old, name))
        elif isinstance(extra, dict):
            _check(one, extra, _join(path, name), errors, old_member(old, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _good(value: Any, schema: Object, path: str) -> bool:
    errors = Errors()
    _check(value, schema, path, errors)
    return not errors


def _check_junctors(value: Any, schema: Object, path: str, errors: Errors) -> None:
    for name, judge in _JUNCTORS.items():
        children = schema.get(name)
        if children:
            problem = judge(sum(_good(value, child, path) for child in children), len(children))
            if problem:
                errors.invalid(path, value, f"{_body(path)} {problem}")
                if name == "allOf":
                    for child in children:
                        _check(value, child, path, errors)
    if schema.get("not") and _good(value, schema["not"], path):
        errors.invalid(path, value, f"{_body(path)} must not validate the schema (not)")


def _one(good: int, _count: int) -> str:
    text = "must validate one and only one schema (oneOf)."
    if good == 0:
        return f"{text} Found none valid"
    return "" if good == 1 else f"{text} Found {good} valid alternatives"


def _any(good: int, _count: int) -> str:
    return "" if good else "must validate at least one schema (anyOf)"


def _all(good: int, count: int) -> str:
    return "" if good == count else "must validate all the schemas (allOf)"


_JUNCTORS: dict[str, Callable[[int, int], str]] = {"allOf": _all, "anyOf": _any, "oneOf": _one}
