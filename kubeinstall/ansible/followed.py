"""Whether pods have followed a change of authorities: what the kubelet keeps up to date in their volumes, and the
Secrets with tokens that do not end.

A program that reads `ca.crt` only when it starts must be started again; no file tells that.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import unit_active
from kubeinstall.errors import Conflict, KubeinstallError, NotFound
from kubeinstall.pki.replacement import blocks

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_SECRETS = "v1/secrets"
_TYPE = "kubernetes.io/service-account-token"
_SERVER_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_LARGEST = 64 * 1024


def await_trust(authority: str, seconds: float) -> Outcome:
    """Return when no pod of this host has a ca.crt of the cluster without the new authority."""
    new = blocks(authority.encode())[0]
    old = [block for block in blocks(_bundle()) if block != new]

    def behind() -> list[str]:
        return [
            _pod(path)
            for path, content in _projected()
            # Copies of the old authority under other names are the user's, and nobody changes them.
            if path.name == "ca.crt" and not _holds(content, new)
            if any(_holds(content, block) for block in old)
        ]

    _wait(behind, seconds, "do not trust the new authority yet")
    return Outcome()


def await_tokens(retired: Sequence[str], seconds: float) -> Outcome:
    """Return when no pod of this host has a token of a key that goes. The kubelet keeps tokens for most of their life;
    when it starts it asks for new ones."""
    outcome = Outcome()

    def behind() -> list[str]:
        return [_pod(path) for path, content in _projected() if token_key(content) in retired]

    if behind() and unit_active("kubelet"):
        run(["systemctl", "restart", "kubelet"])
        outcome.add("restart kubelet, for new tokens")
    _wait(behind, seconds, "have tokens of the old key yet")
    return outcome


def renew_secrets(retired: Sequence[str], seconds: float, *, check: bool) -> Outcome:
    """Have Secrets of tokens that do not end filled anew, where a key that goes signed them."""

    async def work(client: ApiClient) -> Outcome:
        import asyncio

        outcome = Outcome()
        deadline = time.monotonic() + seconds
        while True:
            listed = await client.list(_SECRETS, field_selector=f"type={_TYPE}")
            old = [item for item in listed["items"] if _secret_key(item) in retired]
            for item in old:
                outcome.add(f"issue the token of Secret {_name(item)} afresh")
                if not check:
                    await _empty(client, item)
            if check or not old:
                return outcome
            if time.monotonic() > deadline:
                raise KubeinstallError(
                    f"Secret {_name(old[0])} still has a token of the old key after {seconds:.0f} s"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    kubeconfig = paths.SUPER_ADMIN if paths.SUPER_ADMIN.exists() else paths.ADMIN
    found = with_client(kubeconfig, work, _SERVER_SECONDS)
    found.changes = list(dict.fromkeys(found.changes))
    return found


async def _empty(client: ApiClient, secret: Object) -> None:
    """Without a token, the controller issues one."""
    data = {key: value for key, value in (secret.get("data") or {}).items() if key != "token"}
    try:
        await client.update(_SECRETS, {**secret, "data": data})
    except (Conflict, NotFound):
        return  # looked at again


def _secret_key(secret: Object) -> str:
    token = (secret.get("data") or {}).get("token") or ""
    return token_key(base64.b64decode(token))


def _name(item: Object) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def token_key(content: bytes) -> str:
    """The id of the key that signed a token; empty when it is none."""
    head = content.strip().split(b".")
    if len(head) != 3:
        return ""
    try:
        document = json.loads(base64.urlsafe_b64decode(head[0] + b"=" * (-len(head[0]) % 4)))
    except ValueError:
        return ""
    return str(document.get("kid") or "") if isinstance(document, dict) else ""


def _bundle() -> bytes:
    return (paths.KUBERNETES / "pki/ca.crt").read_bytes()


def _holds(content: bytes, block: bytes) -> bool:
    return block.strip() in content


def _projected() -> Iterator[tuple[Path, bytes]]:
    """What the kubelet put into pods' projected volumes; pods that end meanwhile are passed over."""
    top = paths.KUBELET / "pods"
    for path in top.glob("*/volumes/kubernetes.io~projected/*/*"):
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                yield path, path.read_bytes()
        except OSError:
            continue


def _pod(path: Path) -> str:
    return path.relative_to(paths.KUBELET / "pods").parts[0]


def _wait(behind: Callable[[], list[str]], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while found := sorted(set(behind())):
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"after {seconds:.0f} s pods {what}: {', '.join(found)} (uids); is the kubelet well? Then run it again"
            )
        time.sleep(_LOOK_SECONDS)
