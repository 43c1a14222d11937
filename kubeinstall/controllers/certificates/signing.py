"""Signs approved requests with the cluster's CA."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

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
from kubeinstall.pki.certificates import Authority, certificate_pem, load_certificate
from kubeinstall.pki.keys import load_key

_SIGNERS = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})
#: Certificates are valid from a little before now: clocks differ.
BACKDATE = timedelta(minutes=5)
_EXTENDED = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


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


def sign(
    authority: Authority, csr: x509.CertificateSigningRequest, usages: set[str], seconds: float
) -> x509.Certificate:
    """A certificate for the request's subject, names and key, with exactly these usages."""
    issuer = authority.certificate
    start = datetime.now(UTC) - BACKDATE
    end = min(start + timedelta(seconds=seconds), issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(issuer.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(_key_usage(usages), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    extended = [oid for name, oid in _EXTENDED.items() if name in usages]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    names = requests.alternative_names(csr)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _key_usage(usages: set[str]) -> x509.KeyUsage:
    agreement = "key agreement" in usages
    return x509.KeyUsage(
        digital_signature=bool(usages & {"digital signature", "signing"}),
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement=agreement,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only=agreement and "encipher only" in usages,
        decipher_only=agreement and "decipher only" in usages,
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
