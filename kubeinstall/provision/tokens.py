"""Bootstrap tokens in a running cluster."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kubeinstall.errors import KubeinstallError, NotFound
from kubeinstall.pki import BootstrapToken, ca_cert_hash
from kubeinstall.pki.certificates import parse_certificate
from kubeinstall.pki.kubeconfigs import read
from kubeinstall.pki.tokens import DEFAULT_GROUP, DEFAULT_USAGES, NAME_PREFIX, TYPE, token_secret

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

T = TypeVar("T")


@dataclass(frozen=True)
class TokenInfo:
    """A token in the cluster."""

    token: BootstrapToken
    expires: datetime | None
    usages: tuple[str, ...]
    description: str
    groups: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Not expired."""
        return self.expires is None or self.expires > datetime.now(UTC)


def with_cluster(kubeconfig: Path, work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Run `work` against the cluster of the kubeconfig."""
    if not kubeconfig.exists():
        raise KubeinstallError(
            f"{kubeconfig}: no such file; is this a control-plane host? Name another one with "
            "--kubeconfig"
        )
    from kubeinstall.client.client import ApiClient

    async def main() -> T:
        async with ApiClient.from_kubeconfig(kubeconfig, user_agent="kubeinstall") as client:
            return await work(client)

    return asyncio.run(main())


def list_tokens(kubeconfig: Path) -> list[TokenInfo]:
    """All bootstrap tokens, by id."""

    async def work(client: ApiClient) -> list[TokenInfo]:
        answer = await client.list(
            "v1/secrets", namespace="kube-system", field_selector=f"type={TYPE}"
        )
        return sorted((_info(item) for item in answer["items"]), key=lambda i: i.token.token_id)

    return with_cluster(kubeconfig, work)


def create_token(
    kubeconfig: Path,
    *,
    token: str = "",
    ttl: timedelta = timedelta(hours=24),
    description: str = "",
    usages: tuple[str, ...] = DEFAULT_USAGES,
    groups: tuple[str, ...] = (DEFAULT_GROUP,),
) -> BootstrapToken:
    """Create a token, random unless given; a `ttl` of zero never expires."""
    made = BootstrapToken.parse(token) if token else BootstrapToken.generate()
    expires = datetime.now(UTC) + ttl if ttl else None
    secret = token_secret(
        made, expires=expires, description=description, usages=usages, groups=groups
    )

    async def work(client: ApiClient) -> None:
        await client.create("v1/secrets", secret)

    with_cluster(kubeconfig, work)
    return made


def delete_token(kubeconfig: Path, name: str) -> str:
    """Delete by token or token id; the id."""
    token_id = name.partition(".")[0]

    async def work(client: ApiClient) -> None:
        try:
            await client.delete("v1/secrets", NAME_PREFIX + token_id, "kube-system")
        except NotFound as error:
            raise KubeinstallError(f'there is no bootstrap token "{token_id}"') from error

    with_cluster(kubeconfig, work)
    return token_id


def authority_pin(kubeconfig: Path) -> str:
    """`sha256:…` of the cluster's CA."""
    document = read(kubeconfig)
    data = document["clusters"][0]["cluster"]["certificate-authority-data"]
    return ca_cert_hash(parse_certificate(base64.b64decode(data), str(kubeconfig)))


def server_address(kubeconfig: Path) -> str:
    """HOST:PORT of the kubeconfig's server."""
    server: str = read(kubeconfig)["clusters"][0]["cluster"]["server"]
    return server.removeprefix("https://").rstrip("/")


def _info(secret: dict[str, Any]) -> TokenInfo:
    data = {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
    expiration = data.get("expiration")
    prefix = "usage-bootstrap-"
    return TokenInfo(
        token=BootstrapToken(data.get("token-id", ""), data.get("token-secret", "")),
        expires=datetime.fromisoformat(expiration) if expiration else None,
        usages=tuple(
            sorted(
                k.removeprefix(prefix)
                for k, v in data.items()
                if k.startswith(prefix) and v == "true"
            )
        ),
        description=data.get("description", ""),
        groups=tuple(g for g in data.get("auth-extra-groups", "").split(",") if g),
    )
