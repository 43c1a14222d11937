"""How long a certificate of the signing controller is good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeinstall.controllers.certificates.signer import sign
from kubeinstall.pki.certificates import new_authority
from kubeinstall.pki.keys import DEFAULT_ALGORITHM

MINUTE = timedelta(minutes=1)
CLOSE = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("life", "left"),
    [
        (2 * MINUTE, 2 * MINUTE),  # not over before it began
        (timedelta(hours=7), timedelta(hours=7)),
        (timedelta(hours=8), timedelta(hours=8) - 5 * MINUTE),
        (timedelta(days=3650), timedelta(days=30)),  # its issuer ends first
    ],
)
def test_life(life: timedelta, left: timedelta) -> None:
    authority = new_authority("kubernetes", DEFAULT_ALGORITHM, timedelta(days=30))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    made = sign(authority, request, {"client auth"}, life.total_seconds())
    now = datetime.now(UTC)
    assert abs(made.not_valid_before_utc - (now - 5 * MINUTE)) < CLOSE
    assert abs(made.not_valid_after_utc - (now + left)) < CLOSE
