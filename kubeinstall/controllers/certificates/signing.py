"""Signs approved requests with the cluster's CA."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.certificates import requests
from kubeinstall.controllers.certificates.requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY,
    REQUESTS,
)
from kubeinstall.controllers.controller import ControllerContext, QueueController

if TYPE_CHECKING:
    from cryptography import x509

_SIGNERS = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})


class CSRSigningController(QueueController):
    """Keys are names of requests. Does nothing without `--cluster-signing-cert-file`."""

    name: ClassVar[str] = "certificatesigningrequest-signing-controller"
    component: ClassVar[str] = "csrsigning"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._requests = self.informer(REQUESTS)
        self._requests.add_handler(self._changed)

    async def run(self) -> None:
        """Sign until cancelled."""
        if self.settings.cluster_signing_cert_file is None:
            self.log.info("no cluster-signing-cert-file: requests are not signed")
            return
        await super().run()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and _is_due(new):
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Sign one approved request, or say why it cannot be."""
        request = self._requests.get_key(key)
        if request is None or not _is_due(request):
            return None
        spec = request["spec"]
        try:
            csr = requests.load(request)
            why = requests.refusal(spec["signerName"], csr, set(spec.get("usages") or ()))
        except ValueError as error:
            why = f"unable to parse request: {error}"
        status = dict(request.get("status") or {})
        if why:
            status["conditions"] = [*(status.get("conditions") or ()), _failed(why)]
        else:
            pem = await asyncio.to_thread(self._sign, request, csr)
            status["certificate"] = base64.b64encode(pem).decode()
        await self.client.update_status(REQUESTS, {**request, "status": status})
        return None

    def _sign(self, request: Object, csr: x509.CertificateSigningRequest) -> bytes:
        # Heavy, and most clusters rarely see a request.
        from kubeinstall.controllers.certificates.signer import sign
        from kubeinstall.pki.certificates import Authority, certificate_pem, load_certificate
        from kubeinstall.pki.keys import load_key

        cert_file = self.settings.cluster_signing_cert_file
        key_file = self.settings.cluster_signing_key_file
        if cert_file is None or key_file is None:
            raise ValueError("no signing certificate")
        # Read each time: the CA may have been rotated.
        authority = Authority(load_certificate(cert_file), load_key(key_file))
        longest = self.settings.cluster_signing_duration
        asked = request["spec"].get("expirationSeconds")
        seconds = longest if asked is None else min(longest, max(600.0, float(asked)))
        return certificate_pem(
            sign(authority, csr, set(request["spec"].get("usages") or ()), seconds)
        )


def _is_due(request: Object) -> bool:
    """Approved, of a signer of ours, neither signed nor failed."""
    return (
        request["spec"].get("signerName") in _SIGNERS
        and requests.has_condition(request, "Approved")
        and not requests.has_condition(request, "Denied")
        and not requests.has_condition(request, "Failed")
        and not (request.get("status") or {}).get("certificate")
    )


def _failed(why: str) -> Object:
    now = times.now()
    return {
        "type": "Failed",
        "status": "True",
        "reason": "SignerValidationFailure",
        "message": why,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }
