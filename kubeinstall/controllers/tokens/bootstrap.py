"""The bootstrap signer and the token cleaner."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import NotFound

SECRETS = "v1/secrets"
CONFIG_MAPS = "v1/configmaps"
NAMESPACE = "kube-system"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type's name, not a secret
CLUSTER_INFO = "cluster-info"
PUBLIC = "kube-public"
_PREFIX = "jws-kubeconfig-"


def field(secret: Object, name: str) -> str:
    """One decoded field of a Secret, "" when absent or unreadable."""
    text = (secret.get("data") or {}).get(name)
    if not text:
        return ""
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def expires_in(secret: Object) -> float | None:
    """Seconds until the token expires, 0 when it has (or says so unreadably); None for never."""
    text = field(secret, "expiration")
    if not text:
        return None
    try:
        end = times.unix(text)
    except ValueError:
        return 0.0
    return max(0.0, end - times.parse(times.now_micro()).timestamp())


class BootstrapSignerController(QueueController):
    """One key: the ConfigMap kube-public/cluster-info."""

    name: ClassVar[str] = "bootstrap-signer-controller"
    component: ClassVar[str] = "bootstrapsigner"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._secrets = context.informers.informer(
            SECRETS, NAMESPACE, field_selector=f"type={TOKEN_TYPE}"
        )
        self._maps = context.informers.informer(
            CONFIG_MAPS, PUBLIC, field_selector=f"metadata.name={CLUSTER_INFO}"
        )
        self._secrets.add_handler(self._changed)
        self._maps.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(f"{PUBLIC}/{CLUSTER_INFO}")

    async def run(self) -> None:
        """Sign until cancelled."""
        await self._secrets.wait_synced()
        await self._maps.wait_synced()
        await super().run()

    async def reconcile(self, key: str) -> float | None:
        """Make the signatures those of the tokens that are valid now."""
        found = self._maps.get(CLUSTER_INFO, PUBLIC)
        content = (found or {}).get("data", {}).get("kubeconfig")
        if found is None or not content:
            return None
        # Heavy, and needed only where clusters are joined with tokens.
        from kubeinstall.pki.discovery import sign_discovery
        from kubeinstall.pki.tokens import BootstrapToken

        data = {k: v for k, v in found["data"].items() if not k.startswith(_PREFIX)}
        for secret in self._secrets.list():
            if (parts := _signing_token(secret)) is not None:
                data[_PREFIX + parts[0]] = sign_discovery(content, BootstrapToken(*parts))
        if data != found["data"]:
            await self.client.update(CONFIG_MAPS, {**found, "data": data})
        waits = [left for s in self._secrets.list() if (left := expires_in(s))]
        return min(waits) + 1 if waits else None


def _signing_token(secret: Object) -> tuple[str, str] | None:
    """(id, secret) of a token that may sign now."""
    if field(secret, "usage-bootstrap-signing") != "true" or expires_in(secret) == 0:
        return None
    identifier, text = field(secret, "token-id"), field(secret, "token-secret")
    if not identifier or not text or secret["metadata"]["name"] != f"bootstrap-token-{identifier}":
        return None
    return identifier, text


class TokenCleanerController(QueueController):
    """Keys are `kube-system/name` of token Secrets."""

    name: ClassVar[str] = "token-cleaner-controller"
    component: ClassVar[str] = "tokencleaner"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._secrets = context.informers.informer(
            SECRETS, NAMESPACE, field_selector=f"type={TOKEN_TYPE}"
        )
        self._secrets.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    async def run(self) -> None:
        """Clean until cancelled."""
        await self._secrets.wait_synced()
        await super().run()

    async def reconcile(self, key: str) -> float | None:
        """Delete the Secret when its token has expired, else wait for it."""
        secret = self._secrets.get_key(key)
        left = expires_in(secret) if secret is not None else None
        if secret is None or left is None:
            return None
        if left > 0:
            return left + 0.1
        meta = secret["metadata"]
        try:
            await self.client.delete(SECRETS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            return None
        return None
