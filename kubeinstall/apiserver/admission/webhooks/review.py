"""AdmissionReview: the question to a webhook, and what its answer means."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.matching import Seen, kind_of, namespace_of
from kubeinstall.apiserver.request import CONNECT, AdmissionAttributes
from kubeinstall.errors import StatusError

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class BadAnswer(Exception):
    """A webhook answered something that is no valid AdmissionReview."""


@dataclass(slots=True)
class Verdict:
    """A webhook's answer; `patch` is a list of JSON patch operations."""

    allowed: bool
    patch: list[Any] = field(default_factory=list)
    status: Object | None = None
    warnings: tuple[str, ...] = ()


def question(attributes: AdmissionAttributes, seen: Seen) -> Object:
    """The `request` of the review, with a fresh uid."""
    requested = attributes.requested or attributes.resource
    user = attributes.user
    who: Object = {"username": user.name}
    if user.uid:
        who["uid"] = user.uid
    if user.groups:
        who["groups"] = list(user.groups)
    if user.extra:
        who["extra"] = {name: list(values) for name, values in user.extra.items()}
    request: Object = {
        "uid": str(uuid4()),
        "kind": seen.kind.to_object(),
        "resource": _resource(seen.resource),
    }
    if attributes.subresource:
        request["subResource"] = attributes.subresource
    request["requestKind"] = kind_of(
        requested, attributes.subresource, attributes.operation
    ).to_object()
    request["requestResource"] = _resource(requested)
    if attributes.subresource:
        request["requestSubResource"] = attributes.subresource
    for name, value in (("name", attributes.name), ("namespace", namespace_of(attributes))):
        if value:
            request[name] = value
    request |= {
        "operation": attributes.operation,
        "userInfo": who,
        "object": seen.object,
        "oldObject": seen.old,
        "dryRun": attributes.dry_run,
        "options": options_of(attributes),
    }
    return request


def options_of(attributes: AdmissionAttributes) -> Object | None:
    """The options object of the request; a connection has none."""
    if attributes.operation == CONNECT:
        return None
    named = {"kind": _OPTIONS[attributes.operation], "apiVersion": "meta.k8s.io/v1"}
    rest = {k: v for k, v in attributes.options.items() if k not in named}
    return {**named, **rest}


def _resource(resource: Any) -> Object:
    return {"group": resource.group, "version": resource.version, "resource": resource.name}


def body(request: Object, version: str) -> bytes:
    """The whole AdmissionReview."""
    return orjson.dumps(
        {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}
    )


def read(data: bytes, uid: str, version: str, *, mutating: bool) -> Verdict:
    """Understand an answer. Raises `BadAnswer` in upstream's words."""
    try:
        review = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(str(error)) from error
    if not isinstance(review, dict):
        raise BadAnswer("webhook response was absent")
    response = review.get("response")
    if not isinstance(response, dict):
        raise BadAnswer("webhook response was absent")
    if version == "v1":
        _check_envelope(review, response, uid)
    kind = response.get("patchType")
    try:
        patch = base64.b64decode(response.get("patch") or "", validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadAnswer(f"illegal base64 data in response.patch: {error}") from error
    if version == "v1":
        _check_patch(patch, kind, mutating=mutating)
    status = response.get("status")
    warnings = response.get("warnings") or ()
    return Verdict(
        response.get("allowed") is True,
        _operations(patch) if mutating and patch else [],
        status if isinstance(status, dict) else None,
        tuple(str(one) for one in warnings) if isinstance(warnings, list) else (),
    )


def _check_envelope(review: Object, response: Object, uid: str) -> None:
    if response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    group, _, version = str(review.get("apiVersion") or "").rpartition("/")
    if (group, version, review.get("kind")) != (GROUP, "v1", "AdmissionReview"):
        got = f"{group}/{version}, Kind={review.get('kind') or ''}"
        raise BadAnswer(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {got}")


def _check_patch(patch: bytes, kind: Any, *, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise BadAnswer("validating webhook may not return response.patch")
        if kind is not None:
            raise BadAnswer("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise BadAnswer("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise BadAnswer("webhook returned response.patchType but not response.patch")
    if patch and kind != "JSONPatch":
        raise BadAnswer(f'webhook returned invalid response.patchType of "{kind}"')


def _operations(patch: bytes) -> list[Any]:
    try:
        operations = orjson.loads(patch)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"json: cannot decode response.patch: {error}") from error
    if operations is None:
        return []
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise BadAnswer("json: response.patch is no list of operations")
    return operations


def denied(name: str, status: Object | None) -> StatusError:
    """The error of a request that a webhook refused."""
    status = status or {}
    by = f'admission webhook "{name}" denied the request'
    message, reason = status.get("message"), status.get("reason")
    text = f"{by}: {message or reason}" if message or reason else f"{by} without explanation"
    code = status.get("code")
    if not isinstance(code, int) or code < 400:
        code = 400
    details = status.get("details")
    return StatusError(
        text,
        details=details if isinstance(details, dict) else None,
        code=code,
        reason=str(reason or ""),
    )
