"""Objects of a custom resource from one version to another by its definition's webhook.

One ConversionReview converts all objects of a request. Checks of what comes back, and their words, are
those of upstream's webhook converter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from kubeinstall.api.names import new_uid
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.client import CallFailed, target_of
from kubeinstall.errors import StatusError

if TYPE_CHECKING:
    from kubeinstall.apiserver.admission.webhooks.client import WebhookClient

_GROUP = "apiextensions.k8s.io"
_KNOWN = ("v1", "v1beta1")
_SECONDS = 30


class _Wrong(Exception):
    """What is wrong with an answer, without the prefix that all such messages have."""


class WebhookConverter:
    """Converts by the webhook of a definition's `spec.conversion`."""

    def __init__(self, conversion: Object, client: WebhookClient) -> None:
        webhook = conversion.get("webhook") or {}
        self._target = target_of(webhook.get("clientConfig") or {})
        versions = webhook.get("conversionReviewVersions") or []
        self._version = next((one for one in versions if one in _KNOWN), "")
        self._client = client

    async def convert(self, objects: Sequence[Object], wanted: str) -> list[Object]:
        """The objects, all of them with `kind` and `apiVersion`, in the apiVersion `wanted`. They are left as they are.

        Raises `StatusError` (500) when the webhook cannot be asked or what it answers is no good.
        """
        if not objects:
            return []
        group, _, version = str(objects[0].get("apiVersion", "")).rpartition("/")
        called = f"conversion webhook for {group}/{version}, Kind={objects[0].get('kind', '')}"
        try:
            converted = await self._ask(objects, wanted)
            if len(converted) != len(objects):
                text = f"{called} returned {len(converted)} objects, expected {len(objects)}"
                raise StatusError(text, code=500, reason="")
            return [
                _checked(index, given, made, wanted)
                for index, (given, made) in enumerate(zip(objects, converted, strict=True))
            ]
        except CallFailed as error:
            raise StatusError(f"{called} failed: {error}", code=500, reason="") from error
        except _Wrong as error:
            raise StatusError(f"{called} {error}", code=500, reason="") from error

    async def _ask(self, objects: Sequence[Object], wanted: str) -> list[Any]:
        if not self._version:
            raise CallFailed("no supported conversion review versions")
        uid = new_uid()
        api_version = f"{_GROUP}/{self._version}"
        review = {
            "kind": "ConversionReview",
            "apiVersion": api_version,
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": list(objects)},
        }
        answer = await self._client.post(self._target, orjson.dumps(review), _SECONDS)
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise CallFailed(str(error)) from error
        return _converted(found, uid, self._version)


def _converted(found: Any, uid: str, version: str) -> list[Any]:
    """The objects of an answer."""
    if not isinstance(found, dict):
        raise CallFailed("no response provided")
    group, _, got = str(found.get("apiVersion", "")).rpartition("/")
    if (group, got, found.get("kind")) != (_GROUP, version, "ConversionReview"):
        raise CallFailed(
            f"expected webhook response of {_GROUP}/{version}, Kind=ConversionReview, got"
            f" {group}/{got}, Kind={found.get('kind', '')}"
        )
    response = found.get("response")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        status = result.get("status", "")
        raise CallFailed(
            result.get("message") or f"response.result.status was '{status}', not 'Success'"
        )
    return list(response.get("convertedObjects") or [])


def _checked(index: int, given: Object, made: Any, wanted: str) -> Object:
    """A converted object with the metadata of the original: a webhook may change only labels and annotations."""
    if not isinstance(made, dict):
        raise _Wrong(f"returned invalid converted object at index {index}: not an object")
    at = f"returned invalid converted object at index {index}"
    if made.get("apiVersion") != wanted:
        got = made.get("apiVersion", "")
        raise _Wrong(f"{at}: invalid groupVersion (expected {wanted}, received {got})")
    if made.get("kind") != given.get("kind"):
        raise _Wrong(
            f"{at}: invalid kind (expected {given.get('kind')}, received {made.get('kind', '')})"
        )
    ours, theirs = given.get("metadata") or {}, made.get("metadata")
    if not isinstance(theirs, dict):
        raise _Wrong(
            f"returned invalid metadata in object at index {index}: invalid metadata of type"
            f" {type(theirs).__name__} in converted object"
        )
    for field, name in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if (ours.get(field) or "") != (theirs.get(field) or ""):
            raise _Wrong(
                f"{at}: must have the same {name}: {ours.get(field) or ''} !="
                f" {theirs.get(field) or ''}"
            )
    metadata = {key: value for key, value in ours.items() if key not in _CHANGEABLE}
    for field in _CHANGEABLE:
        value = theirs.get(field)
        if value is None:
            continue
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise _Wrong(
                f"returned invalid metadata in object at index {index}: metadata.{field}: Invalid value"
            )
        metadata[field] = value
    return {**made, "metadata": metadata}


_CHANGEABLE = ("labels", "annotations")
