"""OpenAPI v2 in gnostic's protobuf form, which kubectl before 1.27 asks for.

Field numbers are those of gnostic's `openapiv2` messages. Only what Kubernetes documents use is
here.
"""

from __future__ import annotations

from typing import Any, Final

import orjson


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of an OpenAPI v2 document (a `Document` message)."""
    info = document["info"]
    return b"".join(
        [
            _text(1, document["swagger"]),
            _bytes(2, _text(1, info["title"]) + _text(2, info["version"])),
            _bytes(8, b"".join(_named(2, k, _item(v)) for k, v in document["paths"].items())),
            _bytes(9, _schemas(document["definitions"])),
            _bytes(
                10,
                b"".join(_named(1, k, _parameter(v)) for k, v in document["parameters"].items()),
            ),
            *(_bytes(12, _security(each)) for each in document.get("security", ())),
            _bytes(13, _security_definitions(document.get("securityDefinitions", {}))),
        ]
    )


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def _text(number: int, value: str | None) -> bytes:
    return _bytes(number, value.encode()) if value else b""


def _texts(number: int, values: list[str] | None) -> bytes:
    return b"".join(_bytes(number, value.encode()) for value in values or ())


def _flag(number: int, value: Any) -> bytes:
    return varint(number << 3) + b"\x01" if value else b""


def _named(number: int, name: str, value: bytes) -> bytes:
    return _bytes(number, _text(1, name) + _bytes(2, value))


def _any(number: int, value: Any) -> bytes:
    # An Any's second field is YAML; JSON is YAML.
    return _bytes(number, _bytes(2, orjson.dumps(value)))


def _extensions(number: int, value: dict[str, Any]) -> bytes:
    out = b""
    for key, each in value.items():
        if key.startswith("x-"):
            out += _bytes(number, _text(1, key) + _any(2, each))
    return out


_METHODS: Final = {
    "get": 2,
    "put": 3,
    "post": 4,
    "delete": 5,
    "options": 6,
    "head": 7,
    "patch": 8,
}


def _item(item: dict[str, Any]) -> bytes:
    out = b"".join(
        _bytes(number, _operation(item[method]))
        for method, number in _METHODS.items()
        if method in item
    )
    return out + _parameters(9, item.get("parameters", []))


def _operation(operation: dict[str, Any]) -> bytes:
    return b"".join(
        [
            _texts(1, operation.get("tags")),
            _text(3, operation.get("description")),
            _text(5, operation.get("operationId")),
            _texts(6, operation.get("produces")),
            _texts(7, operation.get("consumes")),
            _parameters(8, operation.get("parameters", [])),
            _bytes(
                9,
                b"".join(
                    _named(1, code, _bytes(1, _response(each)))
                    for code, each in operation["responses"].items()
                ),
            ),
            _texts(10, operation.get("schemes")),
            _extensions(13, operation),
        ]
    )


def _response(response: dict[str, Any]) -> bytes:
    out = _text(1, response["description"])
    if "schema" in response:
        out += _bytes(2, _bytes(1, _schema(response["schema"])))
    return out


def _parameters(number: int, values: list[dict[str, Any]]) -> bytes:
    out = b""
    for each in values:
        if "$ref" in each:
            out += _bytes(number, _bytes(2, _text(1, each["$ref"])))
        else:
            out += _bytes(number, _bytes(1, _parameter(each)))
    return out


def _parameter(value: dict[str, Any]) -> bytes:
    if value["in"] == "body":
        return _bytes(
            1,
            b"".join(
                [
                    _text(1, value.get("description")),
                    _text(2, value["name"]),
                    _text(3, "body"),
                    _flag(4, value.get("required")),
                    _bytes(5, _schema(value["schema"])),
                ]
            ),
        )
    head = b"".join(
        [
            _flag(1, value.get("required")),
            _text(2, value["in"]),
            _text(3, value.get("description")),
            _text(4, value["name"]),
        ]
    )
    if value["in"] == "path":
        return _bytes(2, _bytes(4, head + _text(5, value["type"]) + _flag(19, True)))
    return _bytes(2, _bytes(3, head + _text(6, value["type"]) + _flag(20, True)))


def _schemas(values: dict[str, Any]) -> bytes:
    return b"".join(_named(1, name, _schema(each)) for name, each in values.items())


def _schema(value: dict[str, Any]) -> bytes:
    out = [
        _text(1, value.get("$ref")),
        _text(2, value.get("format")),
        _text(3, value.get("title")),
        _text(4, value.get("description")),
        _any(5, value["default"]) if "default" in value else b"",
        _text(13, value.get("pattern")),
        _texts(19, value.get("required")),
        b"".join(_any(20, each) for each in value.get("enum") or ()),
    ]
    extra = value.get("additionalProperties")
    if isinstance(extra, dict):
        out.append(_bytes(21, _bytes(1, _schema(extra))))
    elif extra:
        out.append(_bytes(21, _flag(2, True)))
    if "type" in value:
        out.append(_bytes(22, _text(1, value["type"])))
    if isinstance(value.get("items"), dict):
        out.append(_bytes(23, _bytes(1, _schema(value["items"]))))
    out += [_bytes(24, _schema(each)) for each in value.get("allOf") or ()]
    if "properties" in value:
        out.append(_bytes(25, _schemas(value["properties"])))
    out.append(_extensions(31, value))
    return b"".join(out)


def _security(value: dict[str, list[str]]) -> bytes:
    return b"".join(_named(1, name, _texts(1, scopes)) for name, scopes in value.items())


def _security_definitions(values: dict[str, Any]) -> bytes:
    out = b""
    for name, each in values.items():
        key = b"".join(
            [
                _text(1, each["type"]),
                _text(2, each["name"]),
                _text(3, each["in"]),
                _text(4, each.get("description")),
            ]
        )
        out += _named(1, name, _bytes(2, key))
    return out
