"""`certs check-expiration`: kubeadm's table and its document."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from kubeinstall.cli.expiration import Form, write_inventory, write_report
from kubeinstall.pki import ClusterIdentity, ensure_kubeconfigs, ensure_pki
from kubeinstall.pki.expiry import Expiry, expiries

IDENTITY = ClusterIdentity("n1", "192.0.2.1")


@pytest.fixture
def report(tmp_path: Path) -> list[Expiry]:
    now = datetime.now(UTC)
    ensure_pki(tmp_path / "pki", IDENTITY, now=now)
    ensure_kubeconfigs(tmp_path, tmp_path / "pki", IDENTITY, now=now)
    (tmp_path / "pki/etcd/ca.key").unlink()
    (tmp_path / "pki/apiserver.crt").unlink()
    return expiries(tmp_path, tmp_path / "pki", IDENTITY)


def test_as_a_table(report: list[Expiry], capsys: pytest.CaptureFixture[str]) -> None:
    write_report(report, Form.TEXT)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "CERTIFICATE"
    assert "!MISSING! apiserver" in lines
    peer = next(line for line in lines if line.startswith("etcd-peer"))
    assert peer.split()[-3:] == ["364d", "etcd-ca", "yes"]
    assert next(line for line in lines if line.startswith("front-proxy-ca")).split()[-2:] == [
        "9y",
        "no",
    ]


@pytest.mark.parametrize("form", [Form.JSON, Form.YAML])
def test_as_kubeadms_document(
    report: list[Expiry], form: Form, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    write_report(report, form, now)
    text = capsys.readouterr().out
    document = json.loads(text) if form is Form.JSON else yaml.safe_load(text)
    assert document["kind"] == "CertificateExpirationInfo"
    assert document["apiVersion"] == "output.kubeadm.k8s.io/v1alpha3"
    leaves = {entry["name"]: entry for entry in document["certificates"]}
    year = timedelta(days=365).total_seconds()
    peer = leaves["etcd-peer"]
    assert year - 60 < peer["residualTime"] <= year
    assert (peer["caName"], peer["externallyManaged"], peer["missing"]) == ("etcd-ca", True, False)
    assert leaves["apiserver"]["missing"]
    authorities = [entry["name"] for entry in document["certificateAuthorities"]]
    assert sorted(authorities) == ["ca", "etcd-ca", "front-proxy-ca"]


def test_of_an_inventory(capsys: pytest.CaptureFixture[str]) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=30, minutes=1)).timestamp()
    entry = {
        "name": "etcd-peer",
        "ends": ends,
        "authority": "etcd/ca",
        "is_authority": False,
        "external": False,
    }
    write_inventory({"a": [entry], "b": []}, Form.TEXT)
    assert capsys.readouterr().out.splitlines()[1].split()[-3:] == ["30h", "etcd-ca", "no"]
    write_inventory({"a": [entry], "b": []}, Form.JSON)
    document = json.loads(capsys.readouterr().out)
    assert document["b"] == []
    assert document["a"][0]["caName"] == "etcd-ca"
