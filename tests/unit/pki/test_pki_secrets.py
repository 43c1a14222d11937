"""Tokens, discovery signatures, the certificate key, expiry and signing requests."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509

from kubeinstall.pki import (
    BootstrapToken,
    ClusterIdentity,
    PkiError,
    ca_cert_hash,
    decrypt_with_key,
    encrypt_with_key,
    ensure_kubeconfigs,
    ensure_pki,
    new_certificate_key,
    sign_discovery,
    verify_discovery,
)
from kubeinstall.pki.certificates import common_name_of, load_certificate, sans_of
from kubeinstall.pki.discovery import require_pinned
from kubeinstall.pki.expiry import expiries, remaining, renew
from kubeinstall.pki.requests import write_requests
from kubeinstall.pki.tokens import token_secret

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDENTITY = ClusterIdentity("node-a", "192.0.2.10")
TOKEN = BootstrapToken("abcdef", "0123456789abcdef")


def test_tokens_round_trip_and_differ() -> None:
    token = BootstrapToken.generate()
    assert BootstrapToken.parse(str(token)) == token
    assert BootstrapToken.generate() != token


@pytest.mark.parametrize("text", ["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123", "a.b\n"])
def test_malformed_token_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(PkiError, match="the bootstrap token is invalid"):
        BootstrapToken.parse(text)


def test_repr_hides_the_secret() -> None:
    assert "0123456789abcdef" not in repr(TOKEN)


def test_token_secret_has_upstreams_keys() -> None:
    secret = token_secret(TOKEN, expires=NOW, description="for tests")
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert data == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "description": "for tests",
        "expiration": "2026-11-20T12:00:00Z",
        "usage-bootstrap-signing": "true",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }


def test_discovery_signature_is_a_jws_keyed_with_the_secret_half() -> None:
    signature = sign_discovery("content", TOKEN)
    header, empty, mac = signature.split(".")
    assert empty == ""
    payload = base64.urlsafe_b64encode(b"content").rstrip(b"=").decode()
    # An independent implementation must accept it.
    jws = jwt.PyJWS()
    decoded = jws.decode(
        f"{header}.{payload}.{mac}", TOKEN.secret.encode().ljust(32, b"\0"), algorithms=["HS256"]
    )
    assert decoded == b"content"
    assert jws.get_unverified_header(f"{header}.{payload}.{mac}")["kid"] == "abcdef"
    assert verify_discovery("content", signature, TOKEN)
    assert not verify_discovery("content!", signature, TOKEN)
    assert not verify_discovery("content", signature, BootstrapToken("abcdef", "x" * 16))


def test_ca_hash_is_what_openssl_computes(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    certificate = load_certificate(tmp_path / "ca.crt")
    command = (
        f"openssl x509 -pubkey -noout -in {tmp_path}/ca.crt "
        "| openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"
    )
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert ca_cert_hash(certificate) == f"sha256:{run.stdout.split()[-1]}"
    require_pinned(certificate, ["sha256:" + "0" * 64, ca_cert_hash(certificate)])
    with pytest.raises(PkiError, match="is not pinned"):
        require_pinned(certificate, ["sha256:" + "0" * 64])
    with pytest.raises(PkiError, match="unknown hash format"):
        require_pinned(certificate, ["md5:00"])


def test_certificate_key_seals_and_opens() -> None:
    key = new_certificate_key()
    sealed = encrypt_with_key(b"secret", key)
    assert len(key) == 64
    assert b"secret" not in sealed
    assert decrypt_with_key(sealed, key) == b"secret"
    with pytest.raises(PkiError, match="certificate key is wrong"):
        decrypt_with_key(sealed, new_certificate_key())
    with pytest.raises(PkiError, match="64 hexadecimal"):
        encrypt_with_key(b"x", "abc")
    with pytest.raises(PkiError, match="too short"):
        decrypt_with_key(b"x", key)


def test_expiry_lists_every_certificate_and_renew_extends_one(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    ensure_pki(pki, IDENTITY, now=NOW)
    ensure_kubeconfigs(tmp_path, pki, IDENTITY, now=NOW)
    report = {expiry.name: expiry for expiry in expiries(tmp_path, pki, IDENTITY)}
    assert len(report) == 7 + 8 + 3
    assert report["ca"].is_authority
    year = NOW + timedelta(days=365)
    assert report["admin.conf"].not_after == report["apiserver"].not_after == year
    for name in ("apiserver", "admin.conf"):
        renew(tmp_path, pki, IDENTITY, name, now=NOW + timedelta(days=100))
    after = {e.name: e.not_after for e in expiries(tmp_path, pki, IDENTITY)}
    assert after["apiserver"] == after["admin.conf"] == year + timedelta(days=100)
    assert after["scheduler.conf"] == year
    with pytest.raises(PkiError, match="there is no certificate 'apiserve'"):
        renew(tmp_path, pki, IDENTITY, "apiserve")


def test_missing_certificates_are_listed_as_missing(tmp_path: Path) -> None:
    report = expiries(tmp_path, tmp_path / "pki", IDENTITY)
    assert report
    assert all(expiry.missing for expiry in report)


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=364, hours=23), "364d"),
        (timedelta(days=3649), "9y"),
        (timedelta(hours=25), "25h"),
        (timedelta(minutes=59, seconds=30), "59m"),
        (-timedelta(days=1), "<invalid>"),
    ],
)
def test_remaining_reads_as_kubeadms(left: timedelta, text: str) -> None:
    assert remaining(NOW + left, NOW) == text


def test_requests_ask_for_what_the_certificate_needs(tmp_path: Path) -> None:
    write_requests(tmp_path, tmp_path / "pki", IDENTITY)
    request = x509.load_pem_x509_csr((tmp_path / "pki/apiserver.csr").read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ensure_pki(tmp_path / "direct", IDENTITY, now=NOW)
    issued = load_certificate(tmp_path / "direct/apiserver.crt")
    assert set(names.get_values_for_type(x509.DNSName)) < sans_of(issued)
    assert request.is_signature_valid
    admin = x509.load_pem_x509_csr((tmp_path / "admin.conf.csr").read_bytes())
    assert "kubernetes-admin" in admin.subject.rfc4514_string()
    assert common_name_of(issued) == "kube-apiserver"
