"""Turns error answers of an API server into the exceptions of `kubeinstall.errors`."""

from __future__ import annotations

from typing import Any

import orjson

from kubeinstall import errors

_TYPES: tuple[type[errors.StatusError], ...] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.MethodNotAllowed,
    errors.NotAcceptable,
    errors.Conflict,
    errors.AlreadyExists,
    errors.Expired,
    errors.RequestTooLarge,
    errors.UnsupportedMediaType,
    errors.Invalid,
    errors.TooManyRequests,
    errors.InternalError,
    errors.ServiceUnavailable,
    errors.Timeout,
)
_BY_REASON = {kind.reason: kind for kind in _TYPES} | {
    # `Gone` is what a watch says, `Expired` what a list says: callers treat them alike.
    "Gone": errors.Expired,
}
# AlreadyExists shares 409 with Conflict: without a reason, a 409 is a conflict.
_BY_CODE = {kind.code: kind for kind in reversed(_TYPES)}


class Unreachable(errors.ServiceUnavailable):
    """No answer: the connection could not be made, or broke before the answer was complete."""


def from_status(status: dict[str, Any], *, retry_after: int | None = None) -> errors.StatusError:
    """The exception for a `metav1.Status` with `status: Failure`."""
    code = status.get("code") or 500
    reason = status.get("reason") or ""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or errors.StatusError
    details = status.get("details") or None
    if retry_after is None and details:
        retry_after = details.get("retryAfterSeconds")
    # The subclasses build their messages from parts; here the message is already made.
    error = kind.__new__(kind)
    errors.StatusError.__init__(
        error,
        status.get("message") or reason or f"the server answered {code}",
        details=details,
        code=code,
        reason=reason or kind.reason,
        retry_after=retry_after,
    )
    if isinstance(error, errors.Invalid):
        error.errors = [
            errors.FieldError(c.get("reason", ""), c.get("field", ""), c.get("message", ""))
            for c in (details or {}).get("causes") or []
        ]
    return error


def from_answer(code: int, body: bytes, retry_after: str | None = None) -> errors.StatusError:
    """The exception for an HTTP answer of 400 or more; its body may be anything."""
    seconds = int(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return from_status({**status, "code": status.get("code") or code}, retry_after=seconds)
    text = body[:2048].decode("utf-8", "replace").strip()
    kind = _BY_CODE.get(code)
    reason = kind.reason if kind else ""
    message = text or f"the server answered {code}"
    return from_status({"code": code, "reason": reason, "message": message}, retry_after=seconds)
