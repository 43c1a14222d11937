"""The exception tree of kubeinstall, and how it becomes a `metav1.Status`.

    KubeinstallError
    ├── SettingsError            a flag or configuration file is wrong
    ├── StoreError               the datastore failed
    │   ├── KeyExists, KeyConflict, RevisionCompacted, RevisionInFuture
    └── StatusError              an answer of the Kubernetes API, code and reason
        ├── BadRequest 400       ├── Conflict 409          ├── Invalid 422
        ├── Unauthorized 401     ├── AlreadyExists 409     ├── TooManyRequests 429
        ├── Forbidden 403        ├── Gone/Expired 410      ├── InternalError 500
        ├── NotFound 404         ├── RequestTooLarge 413   ├── ServiceUnavailable 503
        ├── MethodNotAllowed 405 ├── UnsupportedMediaType 415 └── Timeout 504
        └── NotAcceptable 406

Codes and reasons: Kubernetes API conventions, "Response Status Kind".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


class KubeinstallError(Exception):
    """Root of every error that kubeinstall raises on purpose; `str()` is fit to show a user."""


class SettingsError(KubeinstallError):
    """A flag, variable or configuration file is wrong; the message names it and what to do."""


class StoreError(KubeinstallError):
    """The datastore could not do what it was asked."""


class KeyExists(StoreError):
    """A guarded create found the key."""


class KeyConflict(StoreError):
    """A guarded update or delete found another revision than expected, or no key."""


class RevisionCompacted(StoreError):
    """The revision asked for is older than the history kept."""


class RevisionInFuture(StoreError):
    """The revision asked for has not happened yet."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: an entry of `details.causes`.

    `kind` is upstream's `field.ErrorType` value ("FieldValueRequired", "FieldValueInvalid", …);
    `message` is without the path ("Required value", 'Invalid value: "x": must be …').
    """

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class StatusError(KubeinstallError):
    """An error answer of the API: becomes, and is made from, a `metav1.Status`."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        code: int | None = None,
        reason: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.status_code = type(self).code if code is None else code
        self.status_reason = type(self).reason if reason is None else reason
        self.retry_after = retry_after
        #: The Status' own ListMeta, e.g. {"continue": …} of an expired list.
        self.metadata: dict[str, Any] = {}

    def to_status(self) -> dict[str, Any]:
        """The `Status` object that goes over the wire."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": dict(self.metadata),
            "status": "Failure",
            "message": self.message,
        }
        if self.status_reason:
            status["reason"] = self.status_reason
        details = dict(self.details or {})
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details or self.details is not None:
            status["details"] = details
        status["code"] = self.status_code
        return status


class BadRequest(StatusError):
    """The request itself is wrong: unreadable body, bad parameter."""

    code, reason = 400, "BadRequest"


class Unauthorized(StatusError):
    """Credentials were given and are not valid."""

    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(StatusError):
    """The user may not do this, or admission refused."""

    code, reason = 403, "Forbidden"


class NotFound(StatusError):
    """No such object, or no such path."""

    code, reason = 404, "NotFound"

    @classmethod
    def for_object(cls, group: str, plural: str, name: str) -> NotFound:
        """`pods "x" not found`; the plural is qualified by its group outside core."""
        qualified = f"{plural}.{group}" if group else plural
        return cls(f'{qualified} "{name}" not found', details=_details(group, plural, name))


class MethodNotAllowed(StatusError):
    """The resource has no such verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(StatusError):
    """No media type in `Accept` can be served."""

    code, reason = 406, "NotAcceptable"


class Conflict(StatusError):
    """A stale resourceVersion or a failed precondition."""

    code, reason = 409, "Conflict"

    @classmethod
    def for_object(cls, group: str, plural: str, name: str, why: str) -> Conflict:
        """`Operation cannot be fulfilled on pods "x": …`."""
        qualified = f"{plural}.{group}" if group else plural
        return cls(
            f'Operation cannot be fulfilled on {qualified} "{name}": {why}',
            details=_details(group, plural, name),
        )


class AlreadyExists(StatusError):
    """A create found the name taken."""

    code, reason = 409, "AlreadyExists"

    @classmethod
    def for_object(cls, group: str, plural: str, name: str) -> AlreadyExists:
        """`pods "x" already exists`."""
        qualified = f"{plural}.{group}" if group else plural
        return cls(f'{qualified} "{name}" already exists', details=_details(group, plural, name))


class Expired(StatusError):
    """The resourceVersion or continue token is older than the history kept."""

    code, reason = 410, "Expired"


class RequestTooLarge(StatusError):
    """The body is over the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    """The body's content type cannot be read here."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(StatusError):
    """The object breaks its schema or semantic rules; `errors` names each field."""

    code, reason = 422, "Invalid"

    def __init__(self, group: str, kind: str, name: str, errors: list[FieldError]) -> None:
        self.errors = errors
        texts = list(dict.fromkeys(str(error) for error in errors))  # said twice, shown once
        summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        qualified = f"{kind}.{group}" if group else kind
        details: dict[str, Any] = {"name": name} if name else {}
        if group:
            details["group"] = group
        details["kind"] = kind
        details["causes"] = [
            {"reason": e.kind, "message": e.message, "field": e.path} for e in errors
        ]
        super().__init__(f'{qualified} "{name}" is invalid: {summary}', details=details)


class TooManyRequests(StatusError):
    """Try again later."""

    code, reason = 429, "TooManyRequests"


class InternalError(StatusError):
    """Our fault."""

    code, reason = 500, "InternalError"


class ServiceUnavailable(StatusError):
    """Something that the request needs is not there yet."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(StatusError):
    """The request could not be completed in its time."""

    code, reason = 504, "Timeout"


def _details(group: str, plural: str, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name}
    if group:
        details["group"] = group
    details["kind"] = plural
    return details
