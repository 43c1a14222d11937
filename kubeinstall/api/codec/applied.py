"""The body of a server-side apply: YAML, which clients mostly send as JSON."""

from __future__ import annotations

import orjson

from kubeinstall.api.codec import gojson, yamldoc
from kubeinstall.api.codec.decode import FieldValidation, without_duplicates
from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest


def decode_applied(
    data: bytes, *, field_validation: FieldValidation = "Warn"
) -> tuple[Object, tuple[str, ...]]:
    """The object that the body writes, untyped, and what to warn the client of (duplicate keys).

    Raises BadRequest with upstream's message.
    """
    try:
        quick = orjson.loads(data)
    except orjson.JSONDecodeError:
        quick = None
    if type(quick) is dict and without_duplicates(quick, data):
        return quick, ()
    try:
        node, duplicates = yamldoc.parse(data)
    except yamldoc.YAMLError as error:
        raise BadRequest(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    content = gojson.plain(node)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        found = {list: "array", str: "string", bool: "bool"}.get(type(content), "number")
        raise BadRequest(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )
    if not duplicates or field_validation == "Ignore":
        return content, ()
    lines = "".join(f"\n  {line}" for line in duplicates)
    finding = f"error converting YAML to JSON: yaml: unmarshal errors:{lines}"
    if field_validation == "Strict":
        raise BadRequest(f"error strict decoding YAML: {finding}")
    return content, (finding,)
