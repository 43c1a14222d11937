"""The certificate set: complete, right, stable, and never overwriting what it should not."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubeinstall.pki import ClusterIdentity, KeyAlgorithm, PkiError, ensure_pki
from kubeinstall.pki.certificates import (
    common_name_of,
    is_signed_by,
    key_matches,
    load_certificate,
    organizations_of,
    sans_of,
)
from kubeinstall.pki.keys import load_key

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDENTITY = ClusterIdentity(
    node_name="node-a",
    advertise_address="192.0.2.10",
    control_plane_endpoint="api.example.org:8443",
    cert_sans=("extra.example.org", "192.0.2.99"),
)
KUBEADM_FILES = {
    *(f"{name}.{end}" for name in ("ca", "front-proxy-ca", "etcd/ca") for end in ("crt", "key")),
    *(
        f"{name}.{end}"
        for name in (
            "apiserver",
            "apiserver-kubelet-client",
            "front-proxy-client",
            "etcd/server",
            "etcd/peer",
            "etcd/healthcheck-client",
            "apiserver-etcd-client",
        )
        for end in ("crt", "key")
    ),
    "sa.key",
    "sa.pub",
}


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_writes_kubeadms_files_with_private_keys_unreadable(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    assert set(files(tmp_path)) == KUBEADM_FILES
    for path in tmp_path.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    before = files(tmp_path)
    assert ensure_pki(tmp_path, IDENTITY, now=NOW + timedelta(days=30)) == []
    assert files(tmp_path) == before


def test_dry_run_tells_the_same_changes_and_writes_nothing(tmp_path: Path) -> None:
    planned = ensure_pki(tmp_path, IDENTITY, write=False, now=NOW)
    assert files(tmp_path) == {}
    assert ensure_pki(tmp_path, IDENTITY, now=NOW) == planned


def test_apiserver_certificate_has_kubeadms_names(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    certificate = load_certificate(tmp_path / "apiserver.crt")
    assert common_name_of(certificate) == "kube-apiserver"
    assert sans_of(certificate) == {
        "node-a",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "10.96.0.1",
        "192.0.2.10",
        "api.example.org",
        "extra.example.org",
        "192.0.2.99",
    }
    assert usages(certificate) == {ExtendedKeyUsageOID.SERVER_AUTH}
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


def test_subjects_usages_and_issuers(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    client = {ExtendedKeyUsageOID.CLIENT_AUTH}
    both = client | {ExtendedKeyUsageOID.SERVER_AUTH}
    expected = {
        "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", client, "ca"),
        "front-proxy-client": ("front-proxy-client", client, "front-proxy-ca"),
        "etcd/server": ("node-a", both, "etcd/ca"),
        "etcd/peer": ("node-a", both, "etcd/ca"),
        "etcd/healthcheck-client": ("kube-etcd-healthcheck-client", client, "etcd/ca"),
        "apiserver-etcd-client": ("kube-apiserver-etcd-client", client, "etcd/ca"),
    }
    for name, (common_name, extended, issuer) in expected.items():
        certificate = load_certificate(tmp_path / f"{name}.crt")
        assert common_name_of(certificate) == common_name
        assert organizations_of(certificate) == ()
        assert usages(certificate) == extended
        assert is_signed_by(certificate, load_certificate(tmp_path / f"{issuer}.crt"))
        assert key_matches(certificate, load_key(tmp_path / f"{name}.key"))
    assert sans_of(load_certificate(tmp_path / "etcd/server.crt")) == {
        "node-a",
        "localhost",
        "192.0.2.10",
        "127.0.0.1",
        "::1",
    }


def test_chain_satisfies_a_strict_verifier(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    store = x509.verification.Store([load_certificate(tmp_path / "ca.crt")])
    builder = x509.verification.PolicyBuilder().store(store).time(NOW)
    verifier = builder.build_server_verifier(x509.DNSName("kubernetes.default.svc"))
    chain = verifier.verify(load_certificate(tmp_path / "apiserver.crt"), [])
    assert len(chain) == 2


def test_serials_differ(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    serials = [load_certificate(path).serial_number for path in tmp_path.rglob("*.crt")]
    assert len(set(serials)) == len(serials)


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_key_algorithm_is_selectable(tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    identity = ClusterIdentity("a", "192.0.2.1", algorithm=algorithm)
    ensure_pki(tmp_path, identity, only=["ca", "sa"], now=NOW)
    key = load_key(tmp_path / "ca.key")
    if algorithm.value.startswith("RSA"):
        assert isinstance(key, rsa.RSAPrivateKey)
        assert algorithm.value == f"RSA-{key.key_size}"
        assert b"BEGIN RSA PRIVATE KEY" in (tmp_path / "sa.key").read_bytes()
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert algorithm.value == f"ECDSA-P{key.key_size}"


def test_new_name_reissues_only_that_certificate(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    before = files(tmp_path)
    wider = ClusterIdentity(**{**IDENTITY.__dict__, "cert_sans": ("new.example.org",)})
    changes = ensure_pki(tmp_path, wider, now=NOW)
    assert [(c.path.name, c.action) for c in changes] == [("apiserver.crt", "renew")]
    assert "new.example.org" in changes[0].reason
    after = files(tmp_path)
    assert {n for n in after if after[n] != before[n]} == {"apiserver.crt", "apiserver.key"}


def test_expired_certificate_is_renewed(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    later = NOW + timedelta(days=366)
    changes = ensure_pki(tmp_path, IDENTITY, now=later)
    assert len(changes) == 7
    assert all("expired on 2027-11-20" in change.reason for change in changes)
    assert load_certificate(tmp_path / "apiserver.crt").not_valid_after_utc > later


def test_leaf_never_outlives_its_ca(tmp_path: Path) -> None:
    identity = ClusterIdentity("a", "192.0.2.1", ca_validity=timedelta(days=10))
    ensure_pki(tmp_path, identity, now=NOW)
    ends = {load_certificate(path).not_valid_after_utc for path in tmp_path.rglob("*.crt")}
    assert ends == {NOW + timedelta(days=10)}


def test_expired_ca_is_an_error(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    with pytest.raises(PkiError, match=r"ca\.crt: the CA expired on 2036-"):
        ensure_pki(tmp_path, IDENTITY, now=NOW + timedelta(days=3651))


def test_certificate_of_another_ca_is_refused_and_kept(tmp_path: Path) -> None:
    ensure_pki(tmp_path / "one", IDENTITY, now=NOW)
    ensure_pki(tmp_path / "two", IDENTITY, now=NOW)
    for name in ("ca.crt", "ca.key"):
        (tmp_path / "one" / name).write_bytes((tmp_path / "two" / name).read_bytes())
    before = files(tmp_path / "one")
    with pytest.raises(PkiError, match=r"apiserver\.crt: was not signed by .*ca\.crt"):
        ensure_pki(tmp_path / "one", IDENTITY, now=NOW)
    assert files(tmp_path / "one") == before


def test_key_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    (tmp_path / "apiserver.key").write_bytes((tmp_path / "sa.key").read_bytes())
    with pytest.raises(PkiError, match=r"apiserver\.key: is not the key of apiserver\.crt"):
        ensure_pki(tmp_path, IDENTITY, now=NOW)


def test_lost_leaf_key_is_made_again(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    (tmp_path / "apiserver.key").unlink()
    assert [c.path.name for c in ensure_pki(tmp_path, IDENTITY, now=NOW)] == ["apiserver.crt"]
    pair = load_certificate(tmp_path / "apiserver.crt"), load_key(tmp_path / "apiserver.key")
    assert key_matches(*pair)


def test_external_ca_needs_nothing_while_all_is_right(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    (tmp_path / "ca.key").unlink()
    assert ensure_pki(tmp_path, IDENTITY, now=NOW) == []
    (tmp_path / "apiserver.crt").unlink()
    with pytest.raises(PkiError, match="external CA"):
        ensure_pki(tmp_path, IDENTITY, now=NOW)


def test_half_of_a_service_account_pair(tmp_path: Path) -> None:
    ensure_pki(tmp_path, IDENTITY, now=NOW)
    (tmp_path / "sa.pub").unlink()
    assert [c.path.name for c in ensure_pki(tmp_path, IDENTITY, now=NOW)] == ["sa.pub"]
    (tmp_path / "sa.key").unlink()
    with pytest.raises(PkiError, match=r"public key without sa\.key"):
        ensure_pki(tmp_path, IDENTITY, now=NOW)


def test_phase_needs_its_ca(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match=r"ca\.crt: missing; run the ca phase first"):
        ensure_pki(tmp_path, IDENTITY, only=["apiserver"], now=NOW)


def test_external_etcd_makes_no_etcd_certificates(tmp_path: Path) -> None:
    ensure_pki(tmp_path, ClusterIdentity("a", "192.0.2.1", external_etcd=True), now=NOW)
    assert not [name for name in files(tmp_path) if "etcd" in name]


def test_dual_stack_and_ipv6_addresses(tmp_path: Path) -> None:
    identity = ClusterIdentity(
        "a", "2001:db8::1", service_cidr="10.96.0.0/16,fd00:10:96::/112", bind_port=7443
    )
    ensure_pki(tmp_path, identity, now=NOW)
    names = sans_of(load_certificate(tmp_path / "apiserver.crt"))
    assert {"10.96.0.1", "fd00:10:96::1", "2001:db8::1"} <= names
    assert identity.server == "https://[2001:db8::1]:7443"
