"""Bootstrap tokens in a running cluster."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kubeinstall.errors import AlreadyExists, KubeinstallError, NotFound
from kubeinstall.pki import BootstrapToken, ca_cert_hash
from kubeinstall.pki.certificates import parse_certificate
from kubeinstall.pki.kubeconfigs import read
from kubeinstall.pki.tokens import NAME_PREFIX, TYPE, token_secret
from kubeinstall.provision.token_request import Wish

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

T = TypeVar("T")
_TOKEN_OR_ID = re.compile(r"[a-z0-9]{6}(\.[a-z0-9]{16})?")


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


def create_token(kubeconfig: Path, wish: Wish) -> BootstrapToken:
    """Create the token that is wished for; KubeinstallError when there is one of that id."""
    secret = token_secret(
        wish.token,
        expires=wish.expires(),
        description=wish.description,
        usages=wish.usages,
        groups=wish.groups,
    )

    async def work(client: ApiClient) -> None:
        try:
            await client.create("v1/secrets", secret)
        except AlreadyExists as error:
            raise KubeinstallError(
                f'a token with id "{wish.token.token_id}" already exists; delete it first: '
                f"kubeinstall token delete {wish.token.token_id}"
            ) from error

    with_cluster(kubeconfig, work)
    return wish.token


def token_id_of(name: str) -> str:
    """The id of a token, or of an id; KubeinstallError where it is neither."""
    if not _TOKEN_OR_ID.fullmatch(name):
        raise KubeinstallError(
            'given token or token id does not have the form "[a-z0-9]{6}" or "[a-z0-9]{6}.[a-z0-9]{16}"'
        )
    return name.partition(".")[0]


def delete_token(kubeconfig: Path, token_id: str) -> None:
    """Delete by id."""

    async def work(client: ApiClient) -> None:
        try:
            await client.delete("v1/secrets", NAME_PREFIX + token_id, "kube-system")
        except NotFound as error:
            raise KubeinstallError(f'there is no bootstrap token "{token_id}"') from error

    with_cluster(kubeconfig, work)


def document_of(info: TokenInfo) -> dict[str, Any]:
    """kubeadm's output.kubeadm.k8s.io/v1alpha3 BootstrapToken."""
    document: dict[str, Any] = {
        "kind": "BootstrapToken",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "creationTimestamp": None,
        "token": str(info.token),
    }
    if info.description:
        document["description"] = info.description
    if info.expires is not None:
        document["expires"] = info.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**document, "usages": list(info.usages), "groups": list(info.groups)}


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
