"""Service-account tokens: issuing, verifying, and the public keys that others verify them with."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jwt

from kubeinstall.apiserver.authn import keys
from kubeinstall.apiserver.authn.claims import LEGACY_ISSUER, Judge
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import User
from kubeinstall.errors import ServiceUnavailable, Unauthorized

_MAX_CACHED = 8192
#: How long a verdict is believed without looking whether account and pod still exist, as upstream.
_FRESH_SECONDS = 10.0
#: Clocks of issuer and verifier may differ by this.
_ALGORITHMS = ["RS256", "ES256", "ES384", "ES512"]


class Verified(NamedTuple):
    """A good token: its user, and which of the audiences asked for it is meant for."""

    user: User
    audiences: tuple[str, ...]


class _Cached(NamedTuple):
    claims: dict[str, Any]
    user: User
    fresh_until: float


class ServiceAccountTokens:
    """Issues and verifies tokens of service accounts."""

    def __init__(
        self,
        registry: Registry,
        *,
        issuers: Sequence[str],
        audiences: Sequence[str],
        key_files: Sequence[Path] = (),
        signing_key_file: Path | None = None,
        lookup: bool = True,
    ) -> None:
        self.issuers = tuple(issuers)
        self.audiences = tuple(audiences)
        self._signing = keys.signing_key(signing_key_file) if signing_key_file else None
        self._keys = {key.key_id: key for path in key_files for key in keys.verifying_keys(path)}
        if not self._keys and signing_key_file:
            self._keys = {key.key_id: key for key in keys.verifying_keys(signing_key_file)}
        self._judge = Judge(registry, lookup=lookup)
        self._cache: dict[bytes, _Cached] = {}

    @property
    def can_issue(self) -> bool:
        """Whether there is a key to sign with."""
        return self._signing is not None

    def issue(self, claims: dict[str, Any]) -> str:
        """Sign claims. Raises `ServiceUnavailable` without a signing key."""
        if self._signing is None:
            raise ServiceUnavailable("no service account signing key is configured")
        return jwt.encode(
            claims,
            self._signing.key,
            self._signing.algorithm,
            headers={"kid": self._signing.key_id, "typ": None},
        )

    def speaks_of(self, token: str) -> bool:
        """Whether the token claims to be from one of our issuers (nothing is verified)."""
        if hashlib.sha256(token.encode()).digest() in self._cache:
            return True
        if token.count(".") != 2:
            return False
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            return False
        return issuer == LEGACY_ISSUER or issuer in self.issuers

    def verify(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """The token's user. `audiences`: those acceptable, by default this API's.

        Raises `Unauthorized` when signature, time, audience or what it is bound to is not right.
        """
        digest = hashlib.sha256(token.encode()).digest()
        now = time.time()
        cached = self._cache.get(digest)
        if cached is None or cached.fresh_until < now:
            claims = self._decode(token) if cached is None else cached.claims
            user = self._judge.user(claims, token)
            cached = self._remember(digest, _Cached(claims, user, now + _FRESH_SECONDS))
        if not _timely(cached.claims, now):
            self._cache.pop(digest, None)
            raise Unauthorized
        return Verified(cached.user, self._matching(cached.claims, tuple(audiences)))

    def _matching(self, claims: dict[str, Any], wanted: tuple[str, ...]) -> tuple[str, ...]:
        if claims.get("iss") == LEGACY_ISSUER:
            offered = self.audiences
        else:
            claimed = claims.get("aud") or ()
            offered = (claimed,) if isinstance(claimed, str) else tuple(claimed)
        matching = tuple(audience for audience in wanted or self.audiences if audience in offered)
        if not matching:
            raise Unauthorized
        return matching

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            candidates = (
                [self._keys[header["kid"]]]
                if header.get("kid") in self._keys
                else list(self._keys.values())
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized from error
        for key in candidates:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.key,
                    algorithms=[key.algorithm],
                    options={
                        "verify_aud": False,
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                    },
                )
            except (jwt.PyJWTError, ValueError):
                continue
            if claims.get("iss") == LEGACY_ISSUER or claims.get("iss") in self.issuers:
                return claims
        raise Unauthorized

    def _remember(self, digest: bytes, entry: _Cached) -> _Cached:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[digest] = entry
        return entry

    def jwks(self) -> bytes:
        """The document at /openid/v1/jwks."""
        return _compact({"keys": [keys.jwk(key) for key in self._keys.values()]})

    def discovery(self, jwks_uri: str) -> bytes:
        """The document at /.well-known/openid-configuration."""
        return _compact(
            {
                "issuer": self.issuers[0],
                "jwks_uri": jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": sorted(
                    {key.algorithm for key in self._keys.values()}
                ),
            }
        )


def _timely(claims: dict[str, Any], now: float) -> bool:
    expires, not_before = claims.get("exp"), claims.get("nbf")
    if expires is not None and now > float(expires):
        return False
    return not_before is None or now >= float(not_before) - 1


def _compact(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def build_tokens(settings: ApiServerSettings, registry: Registry) -> ServiceAccountTokens:
    """The tokens that the settings describe."""
    return ServiceAccountTokens(
        registry,
        issuers=settings.service_account_issuer,
        audiences=settings.audiences,
        key_files=settings.service_account_key_file,
        signing_key_file=settings.service_account_signing_key_file,
        lookup=settings.service_account_lookup,
    )
