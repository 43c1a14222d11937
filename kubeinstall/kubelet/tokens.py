"""Service account tokens for projected volumes: asked for with TokenRequest, kept until four fifths of their life."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from kubeinstall.api.times import parse
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import StatusError
from kubeinstall.kubelet.pod import spec

MAX_AGE = 24 * 3600.0
"""Seconds after which a token is renewed however long it would live."""
DEFAULT_EXPIRATION = 3600
_JITTER = 10.0


@dataclass(slots=True)
class _Token:
    value: str
    expires: float
    renew_at: float


class Tokens:
    """Cache of tokens by pod, service account, audience and life time."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._tokens: dict[tuple[str, str, str, int], _Token] = {}

    async def get(self, pod: Object, audience: str, seconds: int) -> str:
        """A token bound to the pod; a failing renewal is no failure while the old one is valid."""
        account = str(pod["spec"].get("serviceAccountName") or "default")
        key = (spec.uid(pod), account, audience, seconds)
        known = self._tokens.get(key)
        if known is not None and time.time() < known.renew_at:
            return known.value
        try:
            token = await self._request(pod, account, audience, seconds)
        except StatusError:
            if known is not None and time.time() < known.expires:
                return known.value
            raise
        self._tokens[key] = token
        return token.value

    def needs_renewal(self, uid: str) -> bool:
        """Whether a token of the pod is due."""
        now = time.time()
        return any(key[0] == uid and now >= t.renew_at for key, t in self._tokens.items())

    def release(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]

    async def _request(self, pod: Object, account: str, audience: str, seconds: int) -> _Token:
        request: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": account, "namespace": spec.namespace(pod)},
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": spec.name(pod),
                    "uid": spec.uid(pod),
                },
            },
        }
        answer = await self._client.create("v1/serviceaccounts", request, subresource="token")
        expires = parse(answer["status"]["expirationTimestamp"]).timestamp()
        now = time.time()
        life = min((expires - now) * 0.8, MAX_AGE)
        return _Token(
            answer["status"]["token"],
            expires,
            now + life - random.uniform(0, _JITTER),  # noqa: S311 - spreads load, keeps no secret
        )
