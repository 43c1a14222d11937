"""Renewing the kubelet's certificates long before they end, without a restart."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from kubeinstall.client import ApiClient
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.bootstrap_files import CLIENT, SERVER, Pair, Validity, validity_of
from kubeinstall.kubelet.bootstrap_kubeconfig import client_validity, point_at
from kubeinstall.kubelet.bootstrap_request import SERVING_SIGNER, Request, obtain
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

#: The longest sleep: a clock that is set must not put a renewal off for months.
LONGEST_SLEEP = 600.0
_RETRY_FIRST, _RETRY_CAP = 2.0, 300.0


class Rotation:
    """Keeps one pair renewed. `on_new` is told once a new certificate is current."""

    def __init__(
        self,
        client: ApiClient,
        pair: Pair,
        request: Request,
        validity: Callable[[], Validity | None],
        on_new: Callable[[], None],
    ) -> None:
        self._client = client
        self._pair = pair
        self._request = request
        self._validity = validity
        self._on_new = on_new

    async def run(self) -> None:
        """Until cancelled. A request that fails is made again, at growing intervals."""
        while True:
            validity = self._validity()
            await _sleep_until(validity.renewal() if validity else 0.0)
            await self._renew()

    async def _renew(self) -> None:
        pause = _RETRY_FIRST
        while True:
            log.info("Renewing a certificate", signer=self._request.signer)
            try:
                certificate, key = await obtain(self._client, self._request, self._pair.pending_key)
                self._pair.store(certificate, key)
                self._on_new()
            except (KubeinstallError, OSError) as error:
                log.warning("Certificate not renewed", error=str(error), retry_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_CAP)
            else:
                log.info("Certificate renewed", file=str(self._pair.current))
                return


async def _sleep_until(moment: float) -> None:
    """By the wall clock, which may be set meanwhile."""
    while True:
        left = moment - time.time()
        if left <= 0:
            return
        await asyncio.sleep(min(left, LONGEST_SLEEP))


async def keep_fresh(client: ApiClient, kubeconfig: Path, folder: Path, node: str) -> None:
    """Renew the certificate with which the kubelet speaks to the API server; never ends.

    A kubeconfig with other credentials than a certificate is left alone.
    """
    if client_validity(kubeconfig) is None:
        await asyncio.Event().wait()
    pair = Pair(folder, CLIENT)

    def renewed() -> None:
        point_at(kubeconfig, pair.current)
        client.reload()

    await Rotation(client, pair, Request(node), lambda: client_validity(kubeconfig), renewed).run()


def serving_rotation(
    client: ApiClient, context: ssl.SSLContext, folder: Path, node: str, addresses: list[str]
) -> Rotation:
    """Of the certificate that the kubelet shows (`serverTLSBootstrap`); somebody has to approve it."""
    pair = Pair(folder, SERVER)

    def validity() -> Validity | None:
        return validity_of(pair.current.read_bytes()) if pair.current.exists() else None

    request = Request(node, SERVING_SIGNER, (node, *addresses))
    return Rotation(client, pair, request, validity, lambda: context.load_cert_chain(pair.current))
