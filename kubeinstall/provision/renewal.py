"""`certs renew`: issue what is asked for or about to end, restart what uses it, and see that it is really in use."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kubeinstall.ansible import paths
from kubeinstall.ansible.restarts import installed_settings, restart_changed
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.pki import ClusterIdentity
from kubeinstall.pki.certificates import load_certificate, parse_certificate
from kubeinstall.pki.expiry import expiries, renew

_SERVED_SECONDS = 30.0


def due(
    directory: Path,
    pki: Path,
    identity: ClusterIdentity,
    within: timedelta,
    now: datetime | None = None,
) -> list[str]:
    """Names of the certificates that end within this time, and whose authority's key is here."""
    moment = now or datetime.now(UTC)
    return [
        item.name
        for item in expiries(directory, pki, identity)
        if item.not_after is not None
        and not item.is_authority
        and not item.externally_managed
        and item.not_after - moment < within
    ]


def renew_all(
    directory: Path,
    pki: Path,
    identity: ClusterIdentity,
    names: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Issue each certificate afresh."""
    for name in names:
        change = renew(directory, pki, identity, name)
        say(f"certificate {name} renewed: {change.path}")


def apply_renewed(names: Sequence[str], say: Callable[[str], None]) -> None:
    """Restart the services whose files changed, and only these; KubeinstallError when a renewed certificate is not the
    one in use afterwards."""
    for change in restart_changed().changes:
        say(change)
    settings = installed_settings()
    server = settings.get("kube-apiserver")
    if server is not None and "apiserver" in names:
        serial = await_served(
            str(server["advertise-address"]),
            int(server["secure-port"]),
            load_certificate(Path(server["tls-cert-file"])).serial_number,
        )
        say(f"verified: the API server serves the certificate with serial {serial:x}")
    for name in names:
        if name.endswith(".conf"):
            asyncio.run(_use(paths.KUBERNETES / name))
            say(f"verified: the API server takes {name}")


def served_serial(host: str, port: int) -> int:
    """Serial number of the certificate that a TLS server shows. Who signed it does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at; nothing is sent or believed
    with (
        socket.create_connection((host, port), timeout=5) as connection,
        context.wrap_socket(connection) as session,
    ):
        der = session.getpeercert(binary_form=True)
    if der is None:
        raise KubeinstallError(f"{host}:{port}: shows no certificate")
    return parse_certificate(ssl.DER_cert_to_PEM_cert(der).encode(), f"{host}:{port}").serial_number


def await_served(host: str, port: int, wanted: int) -> int:
    """Return when the certificate with this serial is served; KubeinstallError after half a minute."""
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        try:
            found = served_serial(host, port)
        except OSError as error:
            found, reason = 0, f"cannot be reached: {error}"
        else:
            reason = f"serves the certificate with serial {found:x}"
        if found == wanted:
            return found
        if time.monotonic() > deadline:
            raise KubeinstallError(f"{host}:{port} {reason}, not the renewed one ({wanted:x})")
        time.sleep(0.2)


async def _use(kubeconfig: Path) -> None:
    """An answer other than 401 shows that the client certificate is taken."""
    from kubeinstall.client.client import ApiClient

    async with ApiClient.from_kubeconfig(kubeconfig, user_agent="kubeinstall") as client:
        try:
            await client.request("GET", "/version", timeout=10)
        except StatusError as error:
            raise KubeinstallError(
                f"{kubeconfig}: the API server does not take it: {error}"
            ) from error
