"""Claims of service-account tokens, legacy and bound: making them and judging them.

Upstream documentation: "Service account tokens", "Bound service account tokens".
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any, NamedTuple

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authn.x509 import CREDENTIAL_ID
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import User
from kubeinstall.errors import NotFound, Unauthorized

LEGACY_ISSUER = "kubernetes/serviceaccount"
PREFIX = "system:serviceaccount:"
GROUP = "system:serviceaccounts"
_LEGACY = "kubernetes.io/serviceaccount/"
_PRIVATE = "kubernetes.io"
_EXTRA = "authentication.kubernetes.io/"
#: A pod's tokens outlive its deletion time by this, so that it can end in good order.
_POD_GRACE_SECONDS = 60
_INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"


class Binding(NamedTuple):
    """What a bound token depends on: kind ("pod", "secret", "node"), name and uid."""

    kind: str
    name: str
    uid: str


def account_user(
    namespace: str, name: str, uid: str = "", extra: dict[str, tuple[str, ...]] | None = None
) -> User:
    """The user that a service account is."""
    return User(f"{PREFIX}{namespace}:{name}", uid, (GROUP, f"{GROUP}:{namespace}"), extra or {})


def split_account(user_name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name, or None."""
    if not user_name.startswith(PREFIX):
        return None
    namespace, colon, name = user_name.removeprefix(PREFIX).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


class Judge:
    """Decides whether what a token speaks of still exists."""

    def __init__(self, registry: Registry, *, lookup: bool = True) -> None:
        self._registry = registry
        self._lookup = lookup

    def user(self, claims: dict[str, Any], token: str) -> User:
        """The user of verified claims. Raises `Unauthorized`."""
        private = claims.get(_PRIVATE)
        if isinstance(private, dict):
            return self._bound(claims, private)
        return self._legacy(claims, token)

    def _bound(self, claims: dict[str, Any], private: dict[str, Any]) -> User:
        namespace = str(private.get("namespace", ""))
        account = private.get("serviceaccount") or {}
        name, uid = str(account.get("name", "")), str(account.get("uid", ""))
        if claims.get("sub") != f"{PREFIX}{namespace}:{name}":
            raise Unauthorized
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        pod, node, secret = (private.get(field) for field in ("pod", "node", "secret"))
        if self._lookup:
            self._require("serviceaccounts", namespace, name, uid)
            if secret:
                self._require("secrets", namespace, secret["name"], secret["uid"])
            if pod:
                self._require("pods", namespace, pod["name"], pod["uid"], _POD_GRACE_SECONDS)
            elif node:
                self._require("nodes", "", node["name"], node.get("uid", ""))
        for what, reference in (("node", node), ("pod", pod)):
            if reference:
                extra[f"{_EXTRA}{what}-name"] = (str(reference["name"]),)
                if reference.get("uid"):
                    extra[f"{_EXTRA}{what}-uid"] = (str(reference["uid"]),)
        return account_user(namespace, name, uid, extra)

    def _require(
        self, plural: str, namespace: str, name: str, uid: str, grace: float = 0.0
    ) -> Object:
        try:
            obj = self._registry.get(kind(plural), name, namespace)
        except NotFound as error:
            raise Unauthorized from error
        metadata = obj["metadata"]
        if metadata.get("uid") != uid:
            raise Unauthorized
        deleted = metadata.get("deletionTimestamp")
        if deleted and times.unix(deleted) + grace < time.time():
            raise Unauthorized
        return obj

    def _legacy(self, claims: dict[str, Any], token: str) -> User:
        def claim(name: str) -> str:
            return str(claims.get(f"{_LEGACY}{name}", ""))

        namespace, name = claim("namespace"), claim("service-account.name")
        uid, secret_name = claim("service-account.uid"), claim("secret.name")
        if claims.get("sub") != f"{PREFIX}{namespace}:{name}" or not secret_name or not uid:
            raise Unauthorized
        if self._lookup:
            self._require("serviceaccounts", namespace, name, uid)
            self._require_secret(namespace, secret_name, token)
        return account_user(namespace, name, uid)

    def _require_secret(self, namespace: str, name: str, token: str) -> None:
        try:
            secret = self._registry.get(kind("secrets"), name, namespace)
        except NotFound as error:
            raise Unauthorized from error
        metadata = secret["metadata"]
        if metadata.get("deletionTimestamp") or (metadata.get("labels") or {}).get(_INVALID_SINCE):
            raise Unauthorized
        try:
            stored = base64.b64decode((secret.get("data") or {}).get("token", ""))
        except binascii.Error as error:
            raise Unauthorized from error
        if stored != token.encode():
            raise Unauthorized


def bound_claims(
    *,
    issuer: str,
    account: Object,
    audiences: tuple[str, ...],
    seconds: int,
    token_id: str,
    binding: Binding | None = None,
    node: Binding | None = None,
    warn_after: int = 0,
) -> dict[str, Any]:
    """Claims of a bound token, valid `seconds` from now.

    `account` is the ServiceAccount object; `node` is the node of the bound pod, told for
    information.
    """
    now = int(time.time())
    metadata = account["metadata"]
    private: dict[str, Any] = {
        "namespace": metadata["namespace"],
        "serviceaccount": {"name": metadata["name"], "uid": metadata.get("uid", "")},
    }
    for reference in (binding, node):
        if reference is not None:
            private[reference.kind] = {"name": reference.name, "uid": reference.uid}
    if warn_after:
        private["warnafter"] = now + warn_after
    return {
        "aud": list(audiences),
        "exp": now + seconds,
        "iat": now,
        "iss": issuer,
        "jti": token_id,
        "kubernetes.io": private,
        "nbf": now,
        "sub": f"{PREFIX}{metadata['namespace']}:{metadata['name']}",
    }
