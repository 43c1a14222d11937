"""How a joining host comes to trust the cluster: CA pins and signed cluster-info.

`kube-public/cluster-info` holds a kubeconfig without user and, for each token that may sign, a
detached JWS of it (`header..signature`, HS256, keyed with the token's *secret* half). The joining
host checks that, then that the kubeconfig's CA has the pinned public key hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from cryptography import x509

from kubeinstall.pki.certificates import public_key_of
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.keys import spki_der
from kubeinstall.pki.tokens import BootstrapToken

HASH_PREFIX = "sha256:"
SIGNATURE_PREFIX = "jws-kubeconfig-"


def ca_cert_hash(certificate: x509.Certificate) -> str:
    """`sha256:<hex>` over the DER SubjectPublicKeyInfo: `--discovery-token-ca-cert-hash`."""
    return HASH_PREFIX + hashlib.sha256(spki_der(public_key_of(certificate))).hexdigest()


def sign_discovery(content: str, token: BootstrapToken) -> str:
    """The detached JWS over cluster-info's kubeconfig."""
    header = json.dumps({"alg": "HS256", "kid": token.token_id}, separators=(",", ":"))
    protected = _base64url(header.encode())
    signing_input = f"{protected}.{_base64url(content.encode())}".encode()
    mac = hmac.new(token.secret.encode(), signing_input, hashlib.sha256).digest()
    return f"{protected}..{_base64url(mac)}"


def verify_discovery(content: str, signature: str, token: BootstrapToken) -> bool:
    """Whether the signature was made over `content` with this token."""
    return hmac.compare_digest(sign_discovery(content, token), signature)


def require_pinned(certificate: x509.Certificate, pins: list[str]) -> None:
    """PkiError unless the CA's public key hash is among the pins."""
    for pin in pins:
        if not pin.startswith(HASH_PREFIX):
            raise PkiError(f"unknown hash format {pin!r}: must be {HASH_PREFIX}<hex>")
    actual = ca_cert_hash(certificate)
    if not any(hmac.compare_digest(actual, pin.lower()) for pin in pins):
        raise PkiError(
            f"cluster CA found in cluster-info is invalid: public key {actual} is not pinned"
        )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
