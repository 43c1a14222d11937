"""Replacing authorities: at every point of every order of hosts, everybody trusts everybody."""

from __future__ import annotations

import itertools
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubeinstall.pki import ClusterIdentity, PkiError, ensure_kubeconfigs, ensure_pki
from kubeinstall.pki.certificates import is_signed_by, load_certificate, load_certificates
from kubeinstall.pki.expiry import outdated, renew
from kubeinstall.pki.keys import load_key, public_pem
from kubeinstall.pki.kubeconfigs import trusted
from kubeinstall.pki.replacement import (
    Stage,
    blocks,
    discard_new,
    make_new,
    place_new,
    public_name,
    read_new,
    replaceable,
    stage_of,
    waiting,
    write_stage,
)

HOSTS = tuple(ClusterIdentity(name, f"192.0.2.{n}") for n, name in enumerate("ab", 1))
LEAVES = {"ca": "apiserver", "etcd/ca": "etcd/peer", "front-proxy-ca": "front-proxy-client"}


class Host:
    """A control plane's files."""

    def __init__(self, folder: Path, identity: ClusterIdentity) -> None:
        self.folder, self.pki, self.identity = folder, folder / "pki", identity

    def reach(self, stage: Stage) -> None:
        folder = self.pki / "rotation"
        for name in waiting(self.pki):
            new, key = (
                (folder / public_name(name)).read_bytes(),
                (folder / f"{name}.key").read_bytes(),
            )
            write_stage(self.pki, name, stage, new, key)
        for name in outdated(self.folder, self.pki, self.identity):
            renew(self.folder, self.pki, self.identity, name)

    def trusts(self, other: Host) -> bool:
        """Every certificate of `other` is signed by an authority that this host trusts, and so is its token key."""
        for authority, leaf in LEAVES.items():
            shown = load_certificate(other.pki / f"{leaf}.crt")
            known = load_certificates((self.pki / f"{authority}.crt").read_bytes())
            if not any(is_signed_by(shown, signer) for signer in known):
                return False
        signing = public_pem(load_key(other.pki / "sa.key").public_key())
        return signing in blocks((self.pki / "sa.pub").read_bytes())


@pytest.fixture
def cluster(tmp_path: Path) -> list[Host]:
    ensure_pki(tmp_path / "a/pki", HOSTS[0])
    shutil.copytree(tmp_path / "a/pki", tmp_path / "b/pki")
    hosts = [Host(tmp_path / identity.node_name, identity) for identity in HOSTS]
    for name in LEAVES.values():
        for end in ("crt", "key"):
            (hosts[1].pki / f"{name}.{end}").unlink()
    for host in hosts:
        ensure_pki(host.pki, host.identity)
        ensure_kubeconfigs(host.folder, host.pki, host.identity)
    return hosts


def files(host: Host) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in host.folder.rglob("*") if p.is_file()}


def test_both_trust_each_other_at_every_point(cluster: list[Host]) -> None:
    a, b = cluster
    before = files(a)
    assert make_new(a.pki, a.identity, replaceable(a.identity)) == sorted(
        ["ca", "front-proxy-ca", "etcd/ca", "sa"]
    )
    place_new(b.pki, read_new(a.pki))
    for stage, host in itertools.product((Stage.TRUST, Stage.ISSUE, Stage.DROP), (b, a)):
        host.reach(stage)
        assert a.trusts(b), (stage, host.folder.name)
        assert b.trusts(a), (stage, host.folder.name)
        # What `apply` would do now: nothing, on a host that reached the stage.
        assert ensure_pki(host.pki, host.identity) == []
        assert ensure_kubeconfigs(host.folder, host.pki, host.identity) == []
    for host in cluster:
        discard_new(host.pki)
        assert waiting(host.pki) == []
    after = files(a)
    assert after.keys() == before.keys()
    kept = {Path(name).name for name in after if after[name] == before[name]}
    assert kept == set()
    assert trusted(a.folder / "admin.conf") == (a.pki / "ca.crt").read_bytes()
    assert len(load_certificates((a.pki / "ca.crt").read_bytes())) == 1


def test_a_stage_again_changes_nothing_and_none_goes_back(cluster: list[Host]) -> None:
    a, _ = cluster
    make_new(a.pki, a.identity, ["ca", "sa"])
    for stage in (Stage.TRUST, Stage.ISSUE):
        a.reach(stage)
    reached = files(a)
    for stage in (Stage.TRUST, Stage.ISSUE):
        a.reach(stage)
        assert files(a) == reached


def test_cut_off_between_certificate_and_key_it_goes_on(cluster: list[Host]) -> None:
    a, _ = cluster
    old = (a.pki / "ca.key").read_bytes()
    make_new(a.pki, a.identity, ["ca"])
    a.reach(Stage.TRUST)
    new = (a.pki / "rotation/ca.crt").read_bytes()
    key = (a.pki / "rotation/ca.key").read_bytes()
    write_stage(a.pki, "ca", Stage.ISSUE, new, None)  # the certificate only
    assert (a.pki / "ca.key").read_bytes() == old
    assert stage_of(a.pki, "ca", new) is Stage.ISSUE
    a.reach(Stage.ISSUE)
    assert (a.pki / "ca.key").read_bytes() == key
    assert outdated(a.folder, a.pki, a.identity) == []


def test_what_was_begun_is_found_and_another_is_refused(cluster: list[Host]) -> None:
    a, b = cluster
    assert make_new(a.pki, a.identity, ["ca"]) == ["ca"]
    first = read_new(a.pki)
    assert make_new(a.pki, a.identity, ["sa"]) == ["ca"]
    assert read_new(a.pki) == first
    assert (a.pki / "rotation").stat().st_mode & 0o777 == 0o700
    make_new(b.pki, b.identity, ["ca"])
    with pytest.raises(PkiError, match="another replacement"):
        place_new(b.pki, first)


def test_an_authority_kept_elsewhere_is_refused(cluster: list[Host]) -> None:
    a, _ = cluster
    (a.pki / "ca.key").unlink()
    with pytest.raises(PkiError, match="kept elsewhere"):
        make_new(a.pki, a.identity, ["ca"])
    assert waiting(a.pki) == []


def test_apply_issues_what_the_old_one_signed_and_refuses_what_neither_did(
    cluster: list[Host], tmp_path: Path
) -> None:
    a, _ = cluster
    make_new(a.pki, a.identity, ["ca"])
    a.reach(Stage.TRUST)
    folder = a.pki / "rotation"
    new, key = (folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes()
    write_stage(a.pki, "ca", Stage.ISSUE, new, key)  # and cut off before the leaves
    changed = {change.path.name for change in ensure_pki(a.pki, a.identity)}
    assert changed == {"apiserver.crt", "apiserver-kubelet-client.crt"}
    assert ensure_kubeconfigs(a.folder, a.pki, a.identity) != []
    other = Host(tmp_path / "c", a.identity)
    ensure_pki(other.pki, other.identity)
    for end in ("crt", "key"):
        shutil.copy(other.pki / f"apiserver.{end}", a.pki / f"apiserver.{end}")
    with pytest.raises(PkiError, match="was not signed by"):
        ensure_pki(a.pki, a.identity)


def test_renewal_keeps_names_and_server_of_what_is_there(cluster: list[Host]) -> None:
    a, _ = cluster
    wide = ClusterIdentity(
        "a", "192.0.2.1", etcd_server_sans=("extra.example.org",), balancer="https://127.0.0.1:6445"
    )
    for path in (a.pki / "etcd/server.crt", a.folder / "kube-proxy.conf"):
        path.unlink()
    ensure_pki(a.pki, wide)
    ensure_kubeconfigs(a.folder, a.pki, wide, only=["kube-proxy"])
    before = load_certificate(a.pki / "etcd/server.crt").serial_number
    renew(a.folder, a.pki, a.identity, "etcd-server", now=datetime.now(UTC))
    renew(a.folder, a.pki, a.identity, "kube-proxy.conf")
    assert load_certificate(a.pki / "etcd/server.crt").serial_number != before
    assert ensure_pki(a.pki, wide) == []
    assert "https://127.0.0.1:6445" in (a.folder / "kube-proxy.conf").read_text()
