"""Putting files in place, and taking them back when something fails."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kubeinstall.ansible import paths
from kubeinstall.provision.backup import schedule
from kubeinstall.provision.backup.manifest import BackupError
from kubeinstall.provision.backup.placing import Placing, place_all


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "KUBERNETES", tmp_path / "etc/kubernetes")
    monkeypatch.setattr(paths, "KUBELET", tmp_path / "var/kubelet")
    monkeypatch.setattr(paths, "DATASTORE", tmp_path / "var/state.db")
    return tmp_path


def staged(host: Path, *, database: bool = True) -> Path:
    staging = host / "staging"
    own = staging / "root" / str(paths.KUBERNETES).lstrip("/")
    (own / "pki").mkdir(parents=True)
    (own / "pki/ca.crt").write_text("new")
    if database:
        (staging / "datastore").mkdir()
        (staging / "datastore/state.db").write_text("new")
    return staging


def present(host: Path) -> None:
    (paths.KUBERNETES / "pki").mkdir(parents=True)
    (paths.KUBERNETES / "pki/ca.crt").write_text("old")
    paths.DATASTORE.parent.mkdir(parents=True)
    paths.DATASTORE.write_text("old")
    paths.DATASTORE.with_name("state.db-wal").write_text("old log")


def test_a_wiped_host_gets_everything(host: Path) -> None:
    place_all(staged(host), Placing(host / "aside"))
    assert (paths.KUBERNETES / "pki/ca.crt").read_text() == "new"
    assert paths.DATASTORE.read_text() == "new"
    assert not (host / "aside").exists()


def test_what_was_there_is_kept_aside_with_its_log(host: Path) -> None:
    present(host)
    place_all(staged(host), Placing(host / "aside"))
    assert paths.DATASTORE.read_text() == "new"
    assert not paths.DATASTORE.with_name("state.db-wal").exists(), "an old log over a new database"
    kept = sorted(path.name.partition("-")[2] for path in (host / "aside").iterdir())
    assert kept == ["kubernetes", "state.db", "state.db-wal"]


def test_a_failure_half_way_puts_everything_back(host: Path) -> None:
    present(host)
    with pytest.raises(FileNotFoundError):
        place_all(staged(host, database=False), Placing(host / "aside"))
    assert (paths.KUBERNETES / "pki/ca.crt").read_text() == "old"
    assert paths.DATASTORE.read_text() == "old"
    assert paths.DATASTORE.with_name("state.db-wal").read_text() == "old log"
    assert not (host / "aside").exists()


def test_pruning_keeps_the_newest_and_all_foreign_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "a")
    days = [f"kubeinstall-a-2026010{day}T000000Z.backup" for day in range(1, 5)]
    others = ["kubeinstall-b-20250101T000000Z.backup", "kubeinstall-a-notes.backup", "x"]
    for name in days + others:
        (tmp_path / name).touch()
    gone = schedule.prune(tmp_path, 2)
    assert [path.name for path in gone] == days[:2]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(days[2:] + others)
    with pytest.raises(BackupError):
        schedule.prune(tmp_path, 0)
