"""Fills Secrets of type `kubernetes.io/service-account-token` with a token that does not expire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import NotFound, SettingsError

SECRETS = "v1/secrets"
ACCOUNTS = "v1/serviceaccounts"
TYPE = "kubernetes.io/service-account-token"
_NAME = "kubernetes.io/service-account.name"
_UID = "kubernetes.io/service-account.uid"


class TokensController(QueueController):
    """Keys are `namespace/name` of Secrets. Does nothing without a private key."""

    name: ClassVar[str] = "serviceaccount-token-controller"
    component: ClassVar[str] = "serviceaccount-token-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_serviceaccount_token_syncs
        self._ca = ""
        self._accounts = self.informer(ACCOUNTS)
        self._secrets = context.informers.informer(SECRETS, field_selector=f"type={TYPE}")
        self._secrets.add_handler(self._secret_changed)
        self._accounts.add_handler(self._account_changed)

    async def run(self) -> None:
        """Issue until cancelled."""
        if self.settings.service_account_private_key_file is None:
            return
        if self.settings.root_ca_file is not None:
            self._ca = await asyncio.to_thread(_encoded, self.settings.root_ca_file)
        await self._secrets.wait_synced()
        await super().run()

    def _secret_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        account = new or old or {}
        for secret in self._secrets.list(account["metadata"]["namespace"]):
            if _account_of(secret) == account["metadata"]["name"]:
                self.queue.add(key_of(secret))

    async def reconcile(self, key: str) -> float | None:
        """Fill one Secret, or delete it when its account is gone."""
        secret = self._secrets.get_key(key)
        if secret is None:
            return None
        meta = secret["metadata"]
        account = await self._account(secret)
        notes = meta.get("annotations") or {}
        if account is None or notes.get(_UID) not in {None, account["metadata"]["uid"]}:
            try:
                await self.client.delete(SECRETS, meta["name"], meta["namespace"], uid=meta["uid"])
            except NotFound:
                return None
            return None
        data = dict(secret.get("data") or {})
        if self._ca:
            data["ca.crt"] = self._ca
        data["namespace"] = base64.b64encode(meta["namespace"].encode()).decode()
        if not data.get("token"):
            token = await asyncio.to_thread(self._issue, secret, account)
            data["token"] = base64.b64encode(token.encode()).decode()
        uid = account["metadata"]["uid"]
        if data != (secret.get("data") or {}) or notes.get(_UID) != uid:
            changed = {**meta, "annotations": {**notes, _UID: uid}}
            await self.client.update(SECRETS, {**secret, "metadata": changed, "data": data})
        return None

    async def _account(self, secret: Object) -> Object | None:
        """The account as the server has it: a stale cache must not delete a Secret."""
        name, namespace = _account_of(secret), secret["metadata"]["namespace"]
        found = self._accounts.get(name, namespace)
        if found is not None:
            return found
        try:
            return await self.client.get(ACCOUNTS, name, namespace)
        except NotFound:
            return None

    def _issue(self, secret: Object, account: Object) -> str:
        import jwt  # Heavy, and needed only where such Secrets are used.
        from cryptography.hazmat.primitives.asymmetric import rsa

        from kubeinstall.pki.keys import load_key, spki_der

        file = self.settings.service_account_private_key_file
        if file is None:
            raise SettingsError("service-account-private-key-file: required to issue tokens")
        key = load_key(file)
        public = hashlib.sha256(spki_der(key.public_key())).digest()
        kid = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        meta, namespace = account["metadata"], account["metadata"]["namespace"]
        prefix = "kubernetes.io/serviceaccount"
        claims = {
            "iss": prefix,
            f"{prefix}/namespace": namespace,
            f"{prefix}/secret.name": secret["metadata"]["name"],
            f"{prefix}/service-account.name": meta["name"],
            f"{prefix}/service-account.uid": meta["uid"],
            "sub": f"system:serviceaccount:{namespace}:{meta['name']}",
        }
        claims["iss"] = "kubernetes/serviceaccount"
        if isinstance(key, rsa.RSAPrivateKey):
            algorithm = "RS256"
        else:
            algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}[key.curve.key_size]
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def _account_of(secret: Object) -> str:
    return (secret["metadata"].get("annotations") or {}).get(_NAME) or ""


def _encoded(file: Path) -> str:
    try:
        return base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise SettingsError(f"root-ca-file: cannot read {file}: {error.strerror}") from error
