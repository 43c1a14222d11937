"""Client certificates: the chain to a CA bundle, then CN as the user and O as its groups."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeinstall.apiserver.request import User
from kubeinstall.errors import SettingsError, Unauthorized

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_MAX_VERDICTS = 4096
_RELOAD_SECONDS = 10.0
_CLIENT_USAGES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


class CertificateBundle:
    """A CA bundle on disk, read again when it changes, and verdicts on certificates.

    A leaf counts as genuine when a certificate of the bundle signed it, it is within its validity
    and it is meant for client authentication. Peers' intermediate certificates are not looked at:
    put an intermediate CA into the bundle.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._checked = 0.0
        self._authorities: list[x509.Certificate] = []
        self._verdicts: dict[bytes, x509.Certificate | None] = {}
        self._reload()

    def verify(self, der: bytes) -> x509.Certificate | None:
        """The certificate if it is genuine and valid now, else None."""
        if time.monotonic() - self._checked > _RELOAD_SECONDS:
            self._reload()
        if der in self._verdicts:
            certificate = self._verdicts[der]
        else:
            certificate = self._judge(der)
            if len(self._verdicts) >= _MAX_VERDICTS:
                self._verdicts.clear()
            self._verdicts[der] = certificate
        if certificate is None:
            return None
        now = datetime.now(UTC)
        in_time = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        return certificate if in_time else None

    def _judge(self, der: bytes) -> x509.Certificate | None:
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            return None
        if not _for_clients(certificate):
            return None
        return certificate if any(_signed(certificate, ca) for ca in self._authorities) else None

    def _reload(self) -> None:
        self._checked = time.monotonic()
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            authorities = x509.load_pem_x509_certificates(self._path.read_bytes())
        except (OSError, ValueError) as error:
            if self._authorities:
                return  # a bundle that is being replaced: keep the last good one
            raise SettingsError(f"{self._path}: {error}") from error
        self._stamp, self._authorities = stamp, authorities
        self._verdicts.clear()


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    now = datetime.now(UTC)
    return authority.not_valid_before_utc <= now <= authority.not_valid_after_utc


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(usage in usages for usage in _CLIENT_USAGES)


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or ""."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


class ClientCertificates:
    """Authenticates by client certificate."""

    def __init__(self, bundle: CertificateBundle) -> None:
        self._bundle = bundle

    def user(self, der: bytes) -> User | None:
        """The certificate's user; None when it names nobody. Raises `Unauthorized`."""
        certificate = self._bundle.verify(der)
        if certificate is None:
            raise Unauthorized
        name = common_name(certificate)
        if not name:
            return None
        groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        digest = hashlib.sha256(der).hexdigest()
        return User(
            name,
            groups=tuple(str(group.value) for group in groups),
            extra={CREDENTIAL_ID: (f"X509SHA256={digest}",)},
        )
