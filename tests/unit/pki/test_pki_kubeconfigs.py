"""Kubeconfig files: identities, stability, and refusal to touch another cluster's."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from kubeinstall.pki import ClusterIdentity, PkiError, ensure_kubeconfigs, ensure_pki
from kubeinstall.pki.certificates import (
    common_name_of,
    is_signed_by,
    load_certificate,
    organizations_of,
    parse_certificate,
)
from kubeinstall.pki.kubeconfigs import client_certificate

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDENTITY = ClusterIdentity("node-a", "192.0.2.10", control_plane_endpoint="api.example.org")
USERS = {
    "admin.conf": ("kubernetes-admin", ("kubeadm:cluster-admins",)),
    "super-admin.conf": ("kubernetes-super-admin", ("system:masters",)),
    "kubelet.conf": ("system:node:node-a", ("system:nodes",)),
    "controller-manager.conf": ("system:kube-controller-manager", ()),
    "scheduler.conf": ("system:kube-scheduler", ()),
    "kube-proxy.conf": ("system:kube-proxy", ()),
    "kube-podnet.conf": ("system:kube-podnet", ()),
    "kube-dns.conf": ("system:kube-dns", ()),
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    ensure_pki(tmp_path / "pki", IDENTITY, only=["ca", "front-proxy-ca", "etcd-ca"], now=NOW)
    return tmp_path


def test_each_file_has_its_user(host: Path) -> None:
    ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)
    assert {path.name for path in host.glob("*.conf")} == set(USERS)
    authority = load_certificate(host / "pki/ca.crt")
    for name, (user, groups) in USERS.items():
        certificate = parse_certificate(client_certificate(host / name), name)
        assert (common_name_of(certificate), organizations_of(certificate)) == (user, groups)
        assert is_signed_by(certificate, authority)
        assert stat.S_IMODE((host / name).stat().st_mode) == 0o600


def test_admin_uses_the_endpoint_and_components_the_local_server(host: Path) -> None:
    ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)

    def server(name: str) -> str:
        return str(yaml.safe_load((host / name).read_text())["clusters"][0]["cluster"]["server"])

    assert server("admin.conf") == "https://api.example.org:6443"
    assert server("scheduler.conf") == "https://192.0.2.10:6443"
    document = yaml.safe_load((host / "admin.conf").read_text())
    assert document["current-context"] == "kubernetes-admin@kubernetes"


def test_second_run_changes_nothing_and_dry_run_tells_the_truth(host: Path) -> None:
    planned = ensure_kubeconfigs(host, host / "pki", IDENTITY, write=False, now=NOW)
    assert not list(host.glob("*.conf"))
    assert ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW) == planned
    before = {path.name: path.read_bytes() for path in host.glob("*.conf")}
    assert ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW) == []
    assert {path.name: path.read_bytes() for path in host.glob("*.conf")} == before


def test_expired_client_certificate_is_renewed(host: Path) -> None:
    ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)
    changes = ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW + timedelta(days=400))
    assert {change.action for change in changes} == {"renew"}
    assert len(changes) == len(USERS)


def test_another_clusters_file_is_refused(host: Path, tmp_path: Path) -> None:
    ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)
    other = tmp_path / "other"
    ensure_pki(other / "pki", IDENTITY, now=NOW)
    (other / "admin.conf").write_bytes((host / "admin.conf").read_bytes())
    with pytest.raises(PkiError, match=r"admin\.conf: trusts another certificate authority"):
        ensure_kubeconfigs(other, other / "pki", IDENTITY, now=NOW)


def test_another_server_is_refused(host: Path) -> None:
    ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)
    moved = ClusterIdentity("node-a", "192.0.2.11", control_plane_endpoint="api.example.org")
    with pytest.raises(PkiError, match=r"kubelet\.conf: points at .*192\.0\.2\.10"):
        ensure_kubeconfigs(host, host / "pki", moved, only=["kubelet"], now=NOW)


def test_damaged_file_names_itself(host: Path) -> None:
    (host / "admin.conf").write_text("{ not yaml")
    with pytest.raises(PkiError, match=r"admin\.conf: not a kubeconfig"):
        ensure_kubeconfigs(host, host / "pki", IDENTITY, now=NOW)
