"""Reading patch bodies, with upstream's messages for what cannot be read."""

from __future__ import annotations

from typing import Any, Final

import orjson

from kubeinstall.api.patch.gojson import explain
from kubeinstall.errors import BadRequest

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"

_GO_TYPE: Final = {
    JSON_PATCH: "[]handlers.jsonPatchOp",
    MERGE_PATCH: "map[string]interface {}",
    STRATEGIC_MERGE_PATCH: "map[string]interface {}",
}


def decode(body: bytes, content_type: str) -> Any:
    """The patch in `body`: a list of operations for JSON patch, else a map.

    Raises BadRequest `error decoding patch: …` with the words of upstream's JSON library.
    """
    try:
        patch = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {explain(body)}") from error
    if patch is None:
        return [] if content_type == JSON_PATCH else {}
    if not isinstance(patch, list if content_type == JSON_PATCH else dict):
        raise _wrong(patch, _GO_TYPE[content_type])
    if content_type == JSON_PATCH:
        for operation in patch:
            if not isinstance(operation, dict):
                raise _wrong(operation, "handlers.jsonPatchOp")
            for key in ("op", "path", "from"):
                if operation.get(key) is not None and not isinstance(operation[key], str):
                    raise _wrong(
                        operation[key], "string", f" struct field jsonPatchOp.{key} of type"
                    )
    return patch


def _wrong(value: Any, go_type: str, where: str = " value of type") -> BadRequest:
    kind = _kind(value)
    into = f"Go{where} {go_type}"
    return BadRequest(f"error decoding patch: json: cannot unmarshal {kind} into {into}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"
