"""The compiled checkers and the thorough reader must agree on every type, right or wrong bodies."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from kubeinstall.api import resources, schema
from kubeinstall.api.codec import fast, gojson
from kubeinstall.api.codec.explain import Reading
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.api.schema import Shape

_DEPTH = 5
_SCALARS: dict[str, tuple[Any, ...]] = {
    schema.STRING: ("", "a", "é", None),
    schema.BOOLEAN: (True, False, None),
    schema.INT32: (0, 7, -1, None),
    schema.INT64: (0, 2**40, None),
    schema.NUMBER: (0, 1.5, 2, None),
    schema.BYTES: ("", "eA==", None),
    schema.QUANTITY: ("1", "100m", "1.5Gi", 2, 0.5, None),
    schema.INT_OR_STRING: (0, 80, "http", None),
    schema.TIME: ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+01:00", None),
    schema.MICRO_TIME: ("2026-01-02T03:04:05.123456Z", None),
    schema.RAW: ({"a": [1, None]}, {}, None),
}
_WRONG: tuple[Any, ...] = (True, 5, 1.5, "text", [], [1], {}, {"a": 1})


def _value(rng: random.Random, shape: Shape, depth: int) -> Any:
    if shape.kind in _SCALARS:
        return rng.choice(_SCALARS[shape.kind])
    if shape.kind == schema.STRUCT:
        return _struct(rng, shape.type_name, depth - 1) if depth else {}
    if shape.kind in {schema.LIST, schema.MAP} and shape.element is not None:
        several = [_value(rng, shape.element, depth - 1) for _ in range(rng.randrange(3))]
        if shape.kind == schema.LIST:
            return several
        return {f"k{index}": each for index, each in enumerate(several)}
    return True if shape.kind == schema.SCHEMA_OR_BOOL else {"type": "object"}


def _struct(rng: random.Random, type_name: str, depth: int) -> dict[str, Any]:
    fields = list(schema.named(type_name).fields.values())
    chosen = rng.sample(fields, k=min(len(fields), rng.randrange(6)))
    return {field.name: _value(rng, field.shape, depth) for field in chosen}


def _types() -> list[str]:
    names = (schema.type_name(one.group, one.version, one.kind) for one in resources.builtin())
    return sorted({name for name in names if name})


def _thorough(type_name: str, body: Any) -> tuple[Any, Reading]:
    reading = Reading()
    return reading.read(type_name, gojson.parse(orjson.dumps(body))), reading


@pytest.mark.parametrize("type_name", _types())
def test_right_bodies(type_name: str) -> None:
    rng = random.Random(type_name)
    for _ in range(30):
        body = orjson.loads(orjson.dumps(_struct(rng, type_name, _DEPTH)))
        quick = fast.struct(type_name)(body)
        plain, reading = _thorough(type_name, body)
        assert (reading.error, reading.findings) == ("", [])
        assert fast.struct(type_name)(plain) == quick
        assert fast.struct(type_name)(quick) == quick


def _spoil(rng: random.Random, body: Any) -> None:
    """Replace one value somewhere, or add an unknown member."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            places.append((value, key))
            if isinstance(each, (dict, list)):
                walk(each)

    walk(body)
    if not places:
        body["nope"] = 1
        return
    holder, key = rng.choice(places)
    holder[key] = rng.choice(_WRONG)


@pytest.mark.parametrize("type_name", _types())
def test_wrong_bodies(type_name: str) -> None:
    rng = random.Random(type_name)
    for _ in range(30):
        body = orjson.loads(orjson.dumps(_struct(rng, type_name, _DEPTH)))
        _spoil(rng, body)
        plain, reading = _thorough(type_name, body)
        try:
            quick = fast.struct(type_name)(body)
        except Mismatch:
            assert reading.error or reading.findings, body
            fast.struct(type_name)(plain)
        else:
            assert (reading.error, reading.findings) == ("", []), body
            assert fast.struct(type_name)(plain) == quick
