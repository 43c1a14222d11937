"""The server's certificate: the configured one, else a self-signed one made once, as upstream's."""

from __future__ import annotations

import ssl
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.kubelet.bootstrap_files import SERVER, Pair
from kubeinstall.kubelet.config import KubeletConfiguration

_DAYS = 365


def server_context(
    config: KubeletConfiguration, folder: Path, name: str, ips: list[str]
) -> ssl.SSLContext:
    """A TLS context; client certificates are asked for where a client CA is configured."""
    if config.tls_cert_file and config.tls_private_key_file:
        certificate, key = Path(config.tls_cert_file), Path(config.tls_private_key_file)
    elif config.server_tls_bootstrap and (current := Pair(folder, SERVER).current).exists():
        certificate = key = current
    else:
        certificate, key = folder / "kubelet.crt", folder / "kubelet.key"
        if not (certificate.exists() and key.exists()):
            _make(certificate, key, name, ips)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    client_ca = _client_ca(config.authentication)
    if client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca)
    return context


def _client_ca(authentication: Object) -> str:
    return str((authentication.get("x509") or {}).get("clientCAFile") or "")


def _make(certificate: Path, key: Path, name: str, ips: list[str]) -> None:
    # Imported only the first time a node starts: the library costs 15 MB.
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@{int(now.timestamp())}")])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
