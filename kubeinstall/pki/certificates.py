"""Issuing and reading X.509 certificates, with the extensions that kubeadm gives them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.keys import KeyAlgorithm, PrivateKey, PublicKey, generate_key, spki_der

# Clocks of hosts differ: a certificate is valid from a little before it was made (kubeadm: 5 min).
BACKDATE = timedelta(minutes=5)


class Usage(Enum):
    """Extended key usages of a leaf certificate."""

    CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
    BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Subject:
    """Who a certificate is for. `sans` are DNS names and IP addresses in one list."""

    common_name: str
    organizations: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    usage: Usage = Usage.CLIENT

    @property
    def name(self) -> x509.Name:
        """The distinguished name: organizations first, as Go's encoder orders them."""
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in self.organizations]
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, self.common_name))
        return x509.Name(parts)


@dataclass(frozen=True)
class Authority:
    """A CA certificate and its key. `bundle`: all that its file holds, PEM; while an authority is being replaced, its
    predecessor or successor is trusted too."""

    certificate: x509.Certificate
    key: PrivateKey
    bundle: bytes = b""

    @property
    def trusted(self) -> bytes:
        """What clients are told to trust, PEM."""
        return self.bundle or certificate_pem(self.certificate)


@dataclass(frozen=True)
class Issued:
    """A leaf certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


def new_authority(
    common_name: str, algorithm: KeyAlgorithm, validity: timedelta, now: datetime | None = None
) -> Authority:
    """A self-signed CA. Its name is also its DNS SAN, as kubeadm's CAs have it."""
    moment = now or datetime.now(UTC)
    key = generate_key(algorithm)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), moment, validity)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(ski, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(
    authority: Authority,
    subject: Subject,
    algorithm: KeyAlgorithm,
    validity: timedelta,
    now: datetime | None = None,
) -> Issued:
    """A new key and its certificate, signed by the authority."""
    key = generate_key(algorithm)
    return Issued(sign(authority, subject, key.public_key(), validity, now), key)


def sign(
    authority: Authority,
    subject: Subject,
    public_key: PublicKey,
    validity: timedelta,
    now: datetime | None = None,
) -> x509.Certificate:
    """A certificate for a public key; it never outlives its authority."""
    moment = now or datetime.now(UTC)
    issuer = authority.certificate
    remaining = issuer.not_valid_after_utc - moment
    builder = (
        _builder(subject.name, issuer.subject, public_key, moment, min(validity, remaining))
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(list(subject.usage.value)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_authority_identifier(issuer), critical=False)
    )
    if subject.sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(general_names(subject.sans)), critical=False
        )
    return builder.sign(authority.key, hashes.SHA256())


def general_names(sans: Iterable[str]) -> list[x509.GeneralName]:
    """DNS names first, then IP addresses, each once."""
    dns: dict[str, x509.GeneralName] = {}
    addresses: dict[str, x509.GeneralName] = {}
    for san in sans:
        try:
            address = ipaddress.ip_address(san)
        except ValueError:
            dns[san] = x509.DNSName(san)
        else:
            addresses[str(address)] = x509.IPAddress(address)
    return [*dns.values(), *addresses.values()]


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def parse_certificate(pem: bytes, source: str) -> x509.Certificate:
    """Read the first certificate of a PEM bundle; `source` names it in the error."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise PkiError(f"{source}: not a PEM certificate: {error}") from error


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM bundle; ValueError when there is none."""
    return x509.load_pem_x509_certificates(pem)


def load_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate in a file: of an authority's, the one that signs."""
    try:
        return parse_certificate(path.read_bytes(), str(path))
    except OSError as error:
        raise PkiError(f"{path}: cannot be read: {error.strerror}") from error


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key made the certificate's signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - InvalidSignature, ValueError, TypeError: all mean no
        return False
    return True


def key_matches(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the key belongs to the certificate."""
    return spki_der(public_key_of(certificate)) == spki_der(key.public_key())


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The certificate's public key, if it is of a kind we use."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise PkiError("the certificate's public key is neither RSA nor ECDSA")
    return key


def sans_of(certificate: x509.Certificate) -> set[str]:
    """DNS names and IP addresses of the certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    found = set(names.get_values_for_type(x509.DNSName))
    found.update(str(address) for address in names.get_values_for_type(x509.IPAddress))
    return found


def common_name_of(certificate: x509.Certificate) -> str:
    """The subject's common name, empty when it has none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def organizations_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject's organizations."""
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return tuple(str(attribute.value) for attribute in found)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: PublicKey,
    moment: datetime,
    validity: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATE)
        .not_valid_after(moment + validity)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=sign_certificates,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key_of(issuer))
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
