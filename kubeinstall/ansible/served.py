"""Whether a certificate that was renewed is the one in use: asked of the ports themselves."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubeinstall.ansible import etcd, paths
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.certificates import load_certificate, parse_certificate

Object = dict[str, Any]

SECONDS = 30.0
_KUBELET_PORT = 10250


#: A certificate and its key.
Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Port:
    """Where a certificate is served, and the file that it is in. `client`: the pair that the server wants to see."""

    label: str
    host: str
    port: int
    file: Path
    client: Pair | None = None


def ports(settings: Object) -> Iterator[Port]:
    """Of what runs on this host; `settings` as in components.yaml."""
    server = settings.get("kube-apiserver")
    if server:
        address, port = str(server["advertise-address"]), int(server["secure-port"])
        yield Port("kube-apiserver", address, port, Path(server["tls-cert-file"]))
    if etcd.CONFIG.exists():
        document = yaml.safe_load(etcd.CONFIG.read_text()) or {}
        for label, urls, part in (
            ("etcd client", "listen-client-urls", "client-transport-security"),
            ("etcd peer", "listen-peer-urls", "peer-transport-security"),
        ):
            file, key = Path(document[part]["cert-file"]), Path(document[part]["key-file"])
            url = urlsplit(str(document[urls]).split(",")[0])
            yield Port(label, url.hostname or "127.0.0.1", url.port or 0, file, (file, key))
    kubelet = settings.get("kubelet")
    if kubelet:
        file = _kubelet_file()
        if file.exists():
            yield Port("kubelet", str(kubelet["node-ip"]), _KUBELET_PORT, file)


def _kubelet_file() -> Path:
    config: Object = {}
    if (paths.KUBELET / "config.yaml").exists():
        config = yaml.safe_load((paths.KUBELET / "config.yaml").read_text()) or {}
    rotated = paths.KUBELET / "pki/kubelet-server-current.pem"
    if config.get("tlsCertFile"):
        return Path(config["tlsCertFile"])
    if config.get("serverTLSBootstrap") and rotated.exists():
        return rotated
    return paths.KUBELET / "pki/kubelet.crt"


def verify(settings: Object, seconds: float = SECONDS) -> list[str]:
    """See that every port of this host shows the certificate that is in its file: a sentence for each."""
    return [
        f"verified: {found.label} ({found.host}:{found.port}) serves serial {serial:x}"
        for found in ports(settings)
        for serial in [load_certificate(found.file).serial_number]
        if await_served(found.host, found.port, serial, found.client, seconds)
    ]


def served_serial(host: str, port: int, client: Pair | None = None) -> int:
    """Serial number of the certificate that a TLS server shows. Who signed it does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at; nothing is sent or believed
    if client:
        context.load_cert_chain(client[0], client[1])
    with (
        socket.create_connection((host, port), timeout=5) as connection,
        context.wrap_socket(connection) as session,
    ):
        der = session.getpeercert(binary_form=True)
    if der is None:
        raise KubeinstallError(f"{host}:{port}: shows no certificate")
    return parse_certificate(ssl.DER_cert_to_PEM_cert(der).encode(), f"{host}:{port}").serial_number


def await_served(
    host: str, port: int, wanted: int, client: Pair | None = None, seconds: float = SECONDS
) -> int:
    """Return when the certificate with this serial is served; KubeinstallError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = served_serial(host, port, client)
        except OSError as error:
            found, reason = 0, f"cannot be reached: {error}"
        else:
            reason = f"serves the certificate with serial {found:x}"
        if found == wanted:
            return found
        if time.monotonic() > deadline:
            raise KubeinstallError(f"{host}:{port} {reason}, not the renewed one ({wanted:x})")
        time.sleep(0.2)
