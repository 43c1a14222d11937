"""A client for each controller with the identity of its service account.

With `--use-service-account-credentials` every controller acts as
`system:serviceaccount:kube-system:<controller>`, so that RBAC gives it only what it needs and audit
logs name it. All clients share one connection pool, which presents no client certificate: the
server would take that for the identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import aiohttp

from kubeinstall.client import ApiClient, ClientConfig
from kubeinstall.client.transport import REQUEST_SECONDS, Transport
from kubeinstall.errors import AlreadyExists, NotFound, Unauthorized

ACCOUNTS = "v1/serviceaccounts"
NAMESPACE = "kube-system"
#: Validity asked for; upstream asks for the same odd hour.
TOKEN_SECONDS = 3607
#: A token is replaced when this share of its life is over.
_REFRESH_SHARE = 0.8


class AccountTransport:
    """A Transport that adds the token of one service account to each request."""

    def __init__(self, shared: Transport, root: ApiClient, account: str) -> None:
        self._shared = shared
        self._root = root
        self._account = account
        self._token = ""
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> AccountTransport:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The shared transport is closed by its owner."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_SECONDS,
    ) -> bytes:
        """As `Transport.send`; a token refused once is replaced and the request repeated."""
        for last in (False, True):
            sent = {**(headers or {}), "Authorization": f"Bearer {await self._current()}"}
            try:
                return await self._shared.send(
                    method, path, params=params, body=body, headers=sent, timeout=timeout
                )
            except Unauthorized:
                if last:
                    raise
                self._refresh_at = 0.0
        raise AssertionError("unreachable: the second attempt returns or raises")

    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """As `Transport.stream`."""
        sent = {**(headers or {}), "Authorization": f"Bearer {await self._current()}"}
        return await self._shared.stream(
            path, params=params, headers=sent, idle_seconds=idle_seconds
        )

    async def _current(self) -> str:
        if time.monotonic() < self._refresh_at:
            return self._token
        async with self._lock:
            if time.monotonic() >= self._refresh_at:
                await self._request_token()
        return self._token

    async def _request_token(self) -> None:
        request: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        try:
            answer = await self._root.create(ACCOUNTS, request, subresource="token")
        except NotFound:
            await self._make_account()
            answer = await self._root.create(ACCOUNTS, request, subresource="token")
        self._token = answer["status"]["token"]
        self._refresh_at = time.monotonic() + TOKEN_SECONDS * _REFRESH_SHARE

    async def _make_account(self) -> None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
        }
        with contextlib.suppress(AlreadyExists):
            try:
                await self._root.create(ACCOUNTS, account)
            except NotFound:
                # Only a cluster that just began lacks the namespace; the role has no right to make it.
                namespace = {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": NAMESPACE},
                }
                with contextlib.suppress(AlreadyExists):
                    await self._root.create("v1/namespaces", namespace)
                await self._root.create(ACCOUNTS, account)


class Identities:
    """Hands out the clients; an async context manager."""

    def __init__(
        self,
        root: ApiClient,
        config: ClientConfig | None,
        fence: Callable[[], None] | None = None,
    ) -> None:
        """`config` is the root client's, or None when controllers share the root identity. `fence`: see Transport."""
        self._root = root
        self._shared: Transport | None = None
        if config is not None:
            bare = dataclasses.replace(
                config, cert_pem=None, key_pem=None, token="", token_file=None, username=""
            )
            self._shared = Transport(bare, "kube-controller-manager", fence=fence)

    async def __aenter__(self) -> Identities:
        if self._shared is not None:
            await self._shared.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shared is not None:
            await self._shared.__aexit__(kind, error, trace)

    def client(self, account: str) -> ApiClient:
        """The client of one controller; `account` is its service account's name, empty for the manager's identity."""
        if self._shared is None or not account:
            return self._root
        config = ClientConfig(server=self._shared.server)
        return ApiClient(config, transport=AccountTransport(self._shared, self._root, account))
