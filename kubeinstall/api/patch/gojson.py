"""Why a body is not JSON, in the words of Go's encoding/json, which upstream's answers quote."""

from __future__ import annotations

from kubeinstall.api.codec.gojson import JSONError, check


def explain(body: bytes) -> str:
    """The message of Go's `json.Unmarshal` for a body that is not JSON."""
    try:
        check(body.decode("utf-8", "replace"))
    except JSONError as error:
        return str(error)
    return "invalid JSON"
