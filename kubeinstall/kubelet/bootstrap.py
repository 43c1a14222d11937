"""TLS bootstrap: from a token to credentials of the node's own, as upstream's kubelet.

Where `kubeconfig` is missing, or its certificate expired, `bootstrap-kubeconfig` is used to ask for a client
certificate; then `kubeconfig` is written, pointing at `kubelet-client-current.pem`.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from kubeinstall.client import ApiClient
from kubeinstall.client.status import Unreachable
from kubeinstall.errors import SettingsError, Timeout
from kubeinstall.kubelet.bootstrap_files import CLIENT, Pair
from kubeinstall.kubelet.bootstrap_kubeconfig import credentials_valid, write_kubeconfig
from kubeinstall.kubelet.bootstrap_request import Request, obtain
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

#: How long a server that does not answer is waited for before the kubelet gives up; upstream's.
SERVER_SECONDS = 60.0
_RETRY_SECONDS = 2.0


async def ensure_credentials(
    kubeconfig: Path, bootstrap: Path | None, folder: Path, node: str, user_agent: str
) -> None:
    """Return when `kubeconfig` can be used; SettingsError when it cannot, and there is no way to one.

    `folder` is the `cert-dir`. Raises what the server answers to the request, and `NotGranted`.
    """
    source = _source(kubeconfig, bootstrap)
    if source is None:
        return
    pair = Pair(folder, CLIENT)
    log.info("Asking for a client certificate", node=node)
    certificate, key = await _ask(source, user_agent, node, pair)
    pair.store(certificate, key)
    write_kubeconfig(kubeconfig, source, pair.current)
    log.info("Client certificate received", node=node, file=str(pair.current))


def _source(kubeconfig: Path, bootstrap: Path | None) -> Path | None:
    """The bootstrap kubeconfig, when it is needed."""
    if credentials_valid(kubeconfig):
        return None
    if bootstrap is not None and bootstrap.exists():
        return bootstrap
    if kubeconfig.exists():
        return None  # expired, or the clock is wrong: the server is to say so
    raise SettingsError(
        f"kubeconfig: {kubeconfig}: no such file, and there is no bootstrap-kubeconfig"
    )


async def _ask(source: Path, user_agent: str, node: str, pair: Pair) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + SERVER_SECONDS
    async with ApiClient.from_kubeconfig(source, user_agent) as client:
        while True:
            try:
                return await obtain(client, Request(node), pair.pending_key)
            except (Unreachable, Timeout) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("The API server does not answer", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
