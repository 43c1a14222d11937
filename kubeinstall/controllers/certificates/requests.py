"""What a CertificateSigningRequest asks for, and which signer may grant it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from kubeinstall.api.types import Object

# Heavy, and most clusters rarely see a request: each function imports what it needs.
if TYPE_CHECKING:
    from cryptography import x509

REQUESTS = "certificates.k8s.io/v1/certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
_NODES_GROUP = "system:nodes"
_NODE_PREFIX = "system:node:"
_CLIENT_USAGES = frozenset({"key encipherment", "digital signature", "client auth"})
_SERVING_USAGES = frozenset({"key encipherment", "digital signature", "server auth"})


def load(request: Object) -> x509.CertificateSigningRequest:
    """The PKCS#10 request inside; ValueError when it is not one."""
    from cryptography import x509

    try:
        pem = base64.b64decode(request["spec"]["request"])
    except binascii.Error as error:
        raise ValueError("spec.request is not base64") from error
    return x509.load_pem_x509_csr(pem)


def common_name(csr: x509.CertificateSigningRequest) -> str:
    """The subject's common name."""
    from cryptography.x509.oid import NameOID

    found = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def organizations(csr: x509.CertificateSigningRequest) -> list[str]:
    """The subject's organizations: groups, to the API server."""
    from cryptography.x509.oid import NameOID

    found = csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [str(entry.value) for entry in found]


def alternative_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The subject alternative names."""
    from cryptography import x509

    try:
        extension = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(extension.value)


def has_condition(request: Object, kind: str) -> bool:
    """A condition of this type is set (and not False)."""
    return any(
        c["type"] == kind and c.get("status", "True") != "False"
        for c in (request.get("status") or {}).get("conditions") or ()
    )


def refusal(signer: str, csr: x509.CertificateSigningRequest, usages: set[str]) -> str:
    """Why a signer does not sign this request; "" when it does."""
    if signer in {KUBELET_CLIENT, KUBELET_SERVING}:
        if organizations(csr) != [_NODES_GROUP]:
            return 'subject organization is not ["system:nodes"]'
        if not common_name(csr).startswith(_NODE_PREFIX):
            return "subject common name does not begin with system:node:"
    if signer == KUBELET_CLIENT:
        return _client_kubelet(csr, usages)
    if signer == KUBELET_SERVING:
        return _serving(csr, usages)
    if signer == CLIENT and not ("client auth" in usages and usages <= _CLIENT_USAGES):
        return "usages did not match [client auth digital signature key encipherment]"
    return ""


def _client_kubelet(csr: x509.CertificateSigningRequest, usages: set[str]) -> str:
    if alternative_names(csr):
        return "subjectAltNames are not allowed"
    if usages not in ({"client auth", "digital signature"}, set(_CLIENT_USAGES)):
        return "usages did not match [client auth digital signature key encipherment]"
    return ""


def _serving(csr: x509.CertificateSigningRequest, usages: set[str]) -> str:
    from cryptography import x509

    names = alternative_names(csr)
    if not any(isinstance(n, x509.DNSName | x509.IPAddress) for n in names):
        return "DNS or IP subjectAltName is required"
    if any(isinstance(n, x509.RFC822Name | x509.UniformResourceIdentifier) for n in names):
        return "email and URI subjectAltNames are not allowed"
    if usages not in ({"server auth", "digital signature"}, set(_SERVING_USAGES)):
        return "usages did not match [server auth digital signature key encipherment]"
    return ""
