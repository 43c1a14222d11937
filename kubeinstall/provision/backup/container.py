"""The file itself: a gzipped tar, sealed with a passphrase or not, readable by its owner alone."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from kubeinstall.provision.backup.manifest import NAME, BackupError, Manifest, Member, decode
from kubeinstall.provision.backup.sealed import MAGIC, OpeningReader, SealingWriter

_LEVEL = 6
_BLOCK = 1 << 20
_LARGEST_MANIFEST = 8 << 20


def write(path: Path, manifest: Manifest, files: Mapping[str, Path], passphrase: bytes) -> None:
    """Write a backup; it has its name only once it is whole and on the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with (
            open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as raw,
            _sealing(raw, passphrase) as stream,
            gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            data = manifest.encode()
            entry = tarfile.TarInfo(NAME)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
            for member in manifest.members:
                _add(tar, member, files[member.name])
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def is_sealed(path: Path) -> bool:
    """Whether a passphrase is needed."""
    with path.open("rb") as raw:
        return raw.read(len(MAGIC)) == MAGIC


def manifest_of(path: Path, passphrase: bytes) -> Manifest:
    """Only the manifest, without looking at the rest."""
    with _reading(path, passphrase) as tar:
        return _manifest(tar)


def unpack(path: Path, passphrase: bytes, target: Path) -> Manifest:
    """Unpack below `target`, which must be empty and private.

    Everything that the manifest names must be there with the content that it names, and nothing else.
    """
    with _reading(path, passphrase) as tar:
        manifest = _manifest(tar)
        wanted = {member.name: member for member in manifest.members}
        while (entry := tar.next()) is not None:  # after the manifest, which was read
            member = wanted.pop(entry.name, None)
            if member is None:
                raise BackupError(f"{path}: has {entry.name}, which its manifest does not name")
            _take(tar, entry, member, target)
    if wanted:
        raise BackupError(f"{path}: lacks {min(wanted)}")
    return manifest


@contextlib.contextmanager
def _sealing(raw: BinaryIO, passphrase: bytes) -> Iterator[BinaryIO]:
    if not passphrase:
        yield raw
        return
    writer = SealingWriter(raw, passphrase)
    yield cast("BinaryIO", writer)  # tarfile only calls write()
    writer.close()


@contextlib.contextmanager
def _reading(path: Path, passphrase: bytes) -> Iterator[tarfile.TarFile]:
    try:
        sealed = is_sealed(path)
        with path.open("rb") as raw:
            stream = cast("BinaryIO", OpeningReader(raw, passphrase) if sealed else raw)
            with (
                gzip.GzipFile("", "rb", fileobj=stream) as packed,
                tarfile.open(fileobj=packed, mode="r|") as tar,
            ):
                yield tar
                # To the end, where checksum and length stand: only there a cut or changed file is noticed.
                while packed.read(_BLOCK):
                    pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{path}: is damaged, or no backup: {error}") from error


def _manifest(tar: tarfile.TarFile) -> Manifest:
    entry = tar.next()
    stream = tar.extractfile(entry) if entry is not None and entry.name == NAME else None
    if entry is None or stream is None or entry.size > _LARGEST_MANIFEST:
        raise BackupError("this is no backup of kubeinstall: it does not begin with a manifest")
    return decode(stream.read())


def _add(tar: tarfile.TarFile, member: Member, path: Path) -> None:
    entry = tarfile.TarInfo(member.name)
    entry.mode = member.mode
    if member.link:
        entry.type, entry.linkname = tarfile.SYMTYPE, member.link
        tar.addfile(entry)
        return
    entry.size = member.size
    with path.open("rb") as stream:
        tar.addfile(entry, stream)


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, member: Member, target: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts:
        raise BackupError(f"{member.name}: leads out of the backup")
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.link:
        path.symlink_to(member.link)
        return
    stream = tar.extractfile(entry)
    if stream is None or entry.size != member.size:
        raise BackupError(f"{member.name}: is not what the manifest says")
    digest = hashlib.sha256()
    with path.open("xb") as out:
        path.chmod(member.mode)
        while block := stream.read(_BLOCK):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != member.sha256:
        raise BackupError(
            f"{member.name}: its checksum is not the manifest's; the backup is damaged"
        )
