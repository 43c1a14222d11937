"""Which certificates are due, and which one a server shows."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubeinstall.ansible import renewal, served
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import ensure_kubeconfigs, ensure_pki
from kubeinstall.pki.certificates import load_certificate
from kubeinstall.pki.expiry import renew, renewable
from kubeinstall.pki.identity import ClusterIdentity

IDENTITY = ClusterIdentity("n1", "127.0.0.1")


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    ensure_pki(tmp_path / "pki", IDENTITY)
    ensure_kubeconfigs(tmp_path, tmp_path / "pki", IDENTITY)
    return tmp_path / "pki"


def test_due_by_threshold(pki: Path) -> None:
    def due(days: int, now: datetime | None = None) -> list[str]:
        return renewal.due(pki.parent, pki, IDENTITY, timedelta(days=days), now)

    assert due(30) == []
    assert sorted(due(366)) == renewable(IDENTITY)
    later = datetime.now(UTC) + timedelta(days=350)
    assert sorted(due(30, later)) == renewable(IDENTITY)
    renew(pki.parent, pki, IDENTITY, "apiserver", now=later)
    assert "apiserver" not in due(30, later)
    assert "scheduler.conf" in due(30, later)


def test_without_the_authoritys_key_nothing_is_due(pki: Path) -> None:
    (pki / "ca.key").unlink()
    names = renewal.due(pki.parent, pki, IDENTITY, timedelta(days=366))
    assert "apiserver" not in names
    assert "front-proxy-client" in names


@pytest.fixture
def server(pki: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, context.wrap_socket(connection, server_side=True) as session:
                session.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_the_served_serial(pki: Path, server: int) -> None:
    serial = load_certificate(pki / "apiserver.crt").serial_number
    assert served.await_served("127.0.0.1", server, serial) == serial
    with pytest.raises(KubeinstallError, match="not the renewed one"):
        served.await_served("127.0.0.1", server, serial + 1, seconds=0.1)
