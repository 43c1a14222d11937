"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction, ClusterTrustBundleAttest:
who may approve, sign and attest for which signer."""

from __future__ import annotations

import base64
import binascii

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, refuse
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes, Attributes, User

_GROUP = "certificates.k8s.io"
_REQUESTS = "certificatesigningrequests"
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def may(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """Whether the user has the verb on the signer, or on all signers of its domain."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        attributes = Attributes(user, verb, _GROUP, "*", "signers", name=name)
        if authorizer.authorize(attributes).allowed:
            return True
    return False


def _signer(attributes: AdmissionAttributes) -> str:
    holder: Object = attributes.old or attributes.object or {}
    return str((holder.get("spec") or {}).get("signerName", ""))


class CertificateApproval(Plugin):
    """Approving needs the permission `approve` on the signer."""

    name = "CertificateApproval"
    targets = frozenset({(_GROUP, _REQUESTS, "approval")})
    operations = frozenset({UPDATE})

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        signer = _signer(attributes)
        if not may(self._authorizer, attributes.user, "approve", signer):
            raise refuse(
                attributes, f'user not permitted to approve requests with signerName "{signer}"'
            )


class CertificateSigning(Plugin):
    """Setting the certificate or a failure needs the permission `sign` on the signer."""

    name = "CertificateSigning"
    targets = frozenset({(_GROUP, _REQUESTS, "status")})
    operations = frozenset({UPDATE})

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        before = (attributes.old or {}).get("status") or {}
        after = (attributes.object or {}).get("status") or {}
        same = all(
            (before.get(field) or None) == (after.get(field) or None)
            for field in ("certificate", "conditions")
        )
        signer = _signer(attributes)
        if not same and not may(self._authorizer, attributes.user, "sign", signer):
            raise refuse(
                attributes, f'user not permitted to sign requests with signerName "{signer}"'
            )


class CertificateSubjectRestriction(Plugin):
    """Nobody asks for a client certificate of system:masters."""

    name = "CertificateSubjectRestriction"
    targets = frozenset({(_GROUP, _REQUESTS, "")})
    operations = frozenset({CREATE})

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        spec = (attributes.object or {}).get("spec") or {}
        if spec.get("signerName") != _CLIENT_SIGNER:
            return
        if "system:masters" in _organizations(spec.get("request", "")):
            raise refuse(
                attributes,
                f"use of {_CLIENT_SIGNER} signer with system:masters group is not allowed",
            )


def _organizations(request: str) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request))
    except (ValueError, binascii.Error):
        return []  # validation says what is wrong with it
    return [
        str(name.value) for name in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    ]


class ClusterTrustBundleAttest(Plugin):
    """A bundle that speaks for a signer needs the permission `attest` on it."""

    name = "ClusterTrustBundleAttest"
    targets = frozenset({(_GROUP, "clustertrustbundles", "")})

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        signer = str(((attributes.object or {}).get("spec") or {}).get("signerName", ""))
        if signer and not may(self._authorizer, attributes.user, "attest", signer):
            raise refuse(attributes, f'user not permitted to attest for signerName "{signer}"')
