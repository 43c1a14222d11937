"""The backup file: sealed or not, whole or refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kubeinstall.provision.backup import container
from kubeinstall.provision.backup.manifest import BackupError, Manifest, Member, member_of
from kubeinstall.provision.backup.sealed import OpeningReader, SealingWriter

PASS = b"correct horse"


def make(folder: Path, target: Path, passphrase: bytes = b"", **files: bytes) -> Manifest:
    members, sources = [], {}
    for name, content in files.items():
        source = folder / name
        source.write_bytes(content)
        source.chmod(0o600)
        sources[f"root/{name}"] = source
        members.append(member_of(f"root/{name}", source))
    manifest = manifest_with(*members)
    container.write(target, manifest, sources, passphrase)
    return manifest


def manifest_with(*members: Member) -> Manifest:
    return Manifest(
        "2026-01-01T00:00:00Z", "node", "0.1.0", "v1.36.0", "sqlite", 7, 1, "aa", members
    )


@pytest.mark.parametrize("passphrase", [b"", PASS])
def test_round_trip(tmp_path: Path, passphrase: bytes) -> None:
    target, out = tmp_path / "a.backup", tmp_path / "out"
    out.mkdir()
    content = bytes(range(256)) * 10_000  # more than two chunks
    made = make(tmp_path, target, passphrase, key=content, empty=b"")
    assert target.stat().st_mode & 0o777 == 0o600
    assert container.is_sealed(target) is bool(passphrase)
    assert container.manifest_of(target, passphrase) == made
    assert container.unpack(target, passphrase, out) == made
    assert (out / "root/key").read_bytes() == content
    assert (out / "root/key").stat().st_mode & 0o777 == 0o600
    assert (b"root/key" in target.read_bytes()) is False


def test_a_wrong_passphrase_is_told(tmp_path: Path) -> None:
    make(tmp_path, tmp_path / "a.backup", PASS, key=b"x")
    with pytest.raises(BackupError, match="passphrase is wrong"):
        container.manifest_of(tmp_path / "a.backup", b"another")
    with pytest.raises(BackupError, match="empty"):
        container.manifest_of(tmp_path / "a.backup", b"")


@pytest.mark.parametrize("passphrase", [b"", PASS])
@pytest.mark.parametrize("where", [0.2, 0.5, 0.98])
def test_damage_is_noticed(tmp_path: Path, passphrase: bytes, where: float) -> None:
    target = tmp_path / "a.backup"
    make(tmp_path, target, passphrase, key=bytes(range(256)) * 40)
    data = bytearray(target.read_bytes())
    data[int(len(data) * where)] ^= 0x40
    target.write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(BackupError):
        container.unpack(target, passphrase, tmp_path / "out")


@pytest.mark.parametrize("passphrase", [b"", PASS])
def test_a_cut_file_is_noticed(tmp_path: Path, passphrase: bytes) -> None:
    target = tmp_path / "a.backup"
    make(tmp_path, target, passphrase, key=bytes(range(256)) * 40)
    target.write_bytes(target.read_bytes()[:-1])
    (tmp_path / "out").mkdir()
    with pytest.raises(BackupError):
        container.unpack(target, passphrase, tmp_path / "out")


def test_whole_chunks_cannot_be_cut_off() -> None:
    sealed = io.BytesIO()
    writer = SealingWriter(sealed, PASS)
    writer.write(b"x" * (3 << 20))
    writer.close()
    cut = sealed.getvalue()[: -((1 << 20) + 16)]
    with pytest.raises(BackupError, match="damaged"):
        OpeningReader(io.BytesIO(cut), PASS).read()
    assert OpeningReader(io.BytesIO(sealed.getvalue()), PASS).read() == b"x" * (3 << 20)


def test_nothing_leads_out_of_the_target(tmp_path: Path) -> None:
    (tmp_path / "evil").write_bytes(b"x")
    member = member_of("../evil", tmp_path / "evil")
    target = tmp_path / "a.backup"
    container.write(target, manifest_with(member), {"../evil": tmp_path / "evil"}, b"")
    (tmp_path / "out/deep").mkdir(parents=True)
    with pytest.raises(BackupError, match="leads out"):
        container.unpack(target, b"", tmp_path / "out/deep")
    assert not (tmp_path / "out/evil").exists()


def test_another_tar_is_no_backup(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        tar.add(__file__, "x")
    with pytest.raises(BackupError, match="no backup"):
        container.manifest_of(target, b"")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    manifest = manifest_with(Member("root/x", 1, "", 0o600))
    with pytest.raises(FileNotFoundError):
        container.write(tmp_path / "a", manifest, {"root/x": tmp_path / "missing"}, b"")
    assert list(tmp_path.iterdir()) == []
