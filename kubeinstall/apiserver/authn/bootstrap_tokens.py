"""Bootstrap tokens, with which a machine joins: Secrets of kube-system.

Upstream documentation: "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import time

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import User
from kubeinstall.errors import NotFound, Unauthorized

_TOKEN = re.compile(r"\A([a-z0-9]{6})\.([a-z0-9]{16})\Z")
_GROUP = re.compile(r"\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\Z")
_DEFAULT_GROUP = "system:bootstrappers"
_TYPE = "bootstrap.kubernetes.io/token"


class BootstrapTokens:
    """Authenticates by bootstrap token."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def user(self, token: str) -> User | None:
        """The token's user; None when it is no bootstrap token. Raises `Unauthorized`."""
        match = _TOKEN.match(token)
        if match is None:
            return None
        token_id, token_secret = match.groups()
        try:
            secret = self._registry.get(
                kind("secrets"), f"bootstrap-token-{token_id}", "kube-system"
            )
        except NotFound as error:
            raise Unauthorized from error
        data = _decoded(secret)
        good = (
            secret.get("type") == _TYPE
            and not secret["metadata"].get("deletionTimestamp")
            and hmac.compare_digest(data.get("token-secret", ""), token_secret)
            and data.get("token-id") == token_id
            and not _expired(data.get("expiration", ""))
            and data.get("usage-bootstrap-authentication") == "true"
        )
        groups = _groups(data.get("auth-extra-groups", ""))
        if not good or groups is None:
            raise Unauthorized
        return User(f"system:bootstrap:{token_id}", groups=groups)


def _decoded(secret: Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


def _expired(expiration: str) -> bool:
    if not expiration:
        return False
    try:
        return times.unix(expiration) <= time.time()
    except ValueError:
        return True  # an unreadable time is treated as past, as upstream does


def _groups(extra: str) -> tuple[str, ...] | None:
    """The user's groups; None when an extra group is not one of the bootstrappers'."""
    groups = {_DEFAULT_GROUP}
    for group in filter(None, extra.split(",")):
        if not _GROUP.match(group):
            return None
        groups.add(group)
    return tuple(sorted(groups))
