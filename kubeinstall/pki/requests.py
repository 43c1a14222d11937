"""Certificate signing requests for a CA that is kept elsewhere: `certs generate-csr`."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from kubeinstall.pki.certificates import Subject, general_names
from kubeinstall.pki.files import CERTIFICATE_MODE, KEY_MODE, write_atomic
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import certificates
from kubeinstall.pki.keys import PrivateKey, generate_key, key_pem, load_key
from kubeinstall.pki.kubeconfigs import build, dump, kubeconfigs


def signing_request(subject: Subject, key: PrivateKey) -> bytes:
    """A PEM request with the names and usages that the certificate should have."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject.name)
        .add_extension(x509.ExtendedKeyUsage(list(subject.usage.value)), critical=False)
    )
    if subject.sans:
        names = x509.SubjectAlternativeName(general_names(subject.sans))
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def write_requests(directory: Path, pki: Path, identity: ClusterIdentity) -> list[Path]:
    """Keys and `.csr` files for every certificate; for kubeconfigs a `.conf` with the key and a
    `.conf.csr` beside it, as kubeadm does. Existing keys are kept. Returns the requests."""
    written = []
    for spec in certificates(identity):
        key = _key(pki / f"{spec.name}.key", identity)
        path = pki / f"{spec.name}.csr"
        write_atomic(path, signing_request(spec.subject(identity), key), CERTIFICATE_MODE)
        written.append(path)
    for config in kubeconfigs(identity):
        key = generate_key(identity.algorithm)
        path = directory / f"{config.file}.csr"
        server = identity.local_server if config.local else identity.server
        user = {"client-key-data": base64.b64encode(key_pem(key)).decode()}
        document = build(server=server, ca_pem=b"", user_name=config.user, user=user)
        write_atomic(directory / config.file, dump(document), KEY_MODE)
        subject = Subject(config.user, config.organizations)
        write_atomic(path, signing_request(subject, key), CERTIFICATE_MODE)
        written.append(path)
    return written


def _key(path: Path, identity: ClusterIdentity) -> PrivateKey:
    if path.exists():
        return load_key(path)
    key = generate_key(identity.algorithm)
    write_atomic(path, key_pem(key), KEY_MODE)
    return key
