"""Snapshots of etcd: taking one, looking into it, and moving its revision on. Needs no program of etcd's.

A snapshot is the database of a member, a bolt file, with its SHA-256 behind it. Bucket `key` holds every revision of
every key: `main (8) _ sub (8)`, with a `t` behind it for a deletion, → KeyValue. Bucket `meta` says up to where history
is compacted.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kubeinstall.provision.backup.bolt import BoltFile
from kubeinstall.provision.backup.manifest import BackupError

_HASH = 32
_SECTOR = 512
_REVISION = struct.Struct(">Q")
_MARK_SIZE = 17  # main ‖ _ ‖ sub
_COMPACTED = (b"scheduledCompactRev", b"finishedCompactRev")
_TAKE_SECONDS = 900.0
_BLOCK = 1 << 20
#: Like etcd's --bump-revision, which Debian's etcd 3.4 has not.
BUMP = 1_000_000_000


@dataclass(frozen=True)
class Contents:
    """What a snapshot holds: the newest revision, the number of live keys below `/registry/`, and live values."""

    revision: int
    objects: int
    values: dict[str, bytes] = field(default_factory=dict)

    def below(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """(key, value) of what was asked for below the prefix."""
        return ((key, value) for key, value in self.values.items() if key.startswith(prefix))


def take_snapshot(url: str, path: Path) -> None:
    """Save a consistent copy of the cluster at `url` (`etcd://…`) to `path`, mode 0600, from a member that answers."""
    from kubeinstall.errors import StoreError

    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        asyncio.run(_take(url, path))
    except StoreError as error:
        raise BackupError(f"etcd gives no snapshot: {error}") from error
    check_hash(path)


async def _take(url: str, path: Path) -> None:
    import grpc.aio

    from kubeinstall._wire.etcd.v3 import rpc_pb2, rpc_pb2_grpc
    from kubeinstall.errors import RevisionCompacted
    from kubeinstall.storage.etcd.connection import CALL_SECONDS, Connection
    from kubeinstall.storage.etcd.endpoints import EtcdEndpoints

    async def mark(channel: grpc.aio.Channel) -> None:
        # So that the snapshot has the place where `move_on` writes. The first revision holds nothing.
        stub = rpc_pb2_grpc.KVStub(channel)
        await stub.Compact(
            rpc_pb2.CompactionRequest(revision=1, physical=True), timeout=CALL_SECONDS
        )

    async def save(channel: grpc.aio.Channel) -> None:
        stub = rpc_pb2_grpc.MaintenanceStub(channel)
        with path.open("wb") as out:
            async for part in stub.Snapshot(rpc_pb2.SnapshotRequest(), timeout=_TAKE_SECONDS):
                out.write(part.blob)
            out.flush()
            os.fsync(out.fileno())

    connection = Connection(EtcdEndpoints.parse(url))
    try:
        with suppress(RevisionCompacted):  # the API servers have compacted before
            await connection.call(mark)
        await connection.call(save)
    finally:
        await connection.close()


def check_hash(path: Path) -> None:
    """BackupError unless the file is whole, by the checksum that etcd puts at its end."""
    size = path.stat().st_size
    if size % _SECTOR != _HASH:
        raise BackupError(f"{path}: is no snapshot of etcd, or it is cut off")
    with path.open("rb") as stream:
        if _digest(stream.fileno(), size - _HASH) != os.pread(stream.fileno(), _HASH, size - _HASH):
            raise BackupError(f"{path}: the snapshot is damaged: its checksum does not fit")


def read_snapshot(path: Path, prefixes: tuple[str, ...] = ()) -> Contents:
    """Look through all of it. Values of live keys below `prefixes` are kept."""
    from google.protobuf.message import DecodeError

    from kubeinstall._wire.etcd.v3 import kv_pb2

    newest = 0
    live: dict[str, bytes | None] = {}
    try:
        with _mapped(path) as (bolt, _):
            for item in bolt.bucket(b"meta"):
                if item.key in _COMPACTED and item.size == _MARK_SIZE:
                    newest = max(newest, _REVISION.unpack(bolt.value(item)[:8])[0])
            for item in bolt.bucket(b"key"):
                newest = max(newest, _REVISION.unpack(item.key[:8])[0])
                found = kv_pb2.KeyValue.FromString(bolt.value(item))
                key = found.key.decode(errors="replace")
                if item.key[_MARK_SIZE:] == b"t":
                    live.pop(key, None)
                else:
                    live[key] = found.value if key.startswith(prefixes or ("\0",)) else None
    except (DecodeError, struct.error) as error:
        raise BackupError(f"{path}: the snapshot is damaged: {error}") from error
    objects = sum(key.startswith("/registry/") for key in live)
    return Contents(newest, objects, {k: v for k, v in live.items() if v is not None})


def move_on(path: Path) -> int:
    """Let etcd go on `BUMP` revisions later, with everything before called compacted; that revision.

    No client has seen a newer resourceVersion then, and every watch from before is told to list anew. etcd takes the
    compacted revision for its own where that is higher than any key's; so it is enough to overwrite it.
    """
    revision = read_snapshot(path).revision + BUMP
    with _mapped(path) as (bolt, data):
        marks = [i for i in bolt.bucket(b"meta") if i.key in _COMPACTED and i.size == _MARK_SIZE]
        if len(marks) != len(_COMPACTED):
            raise BackupError(
                f"{path}: nothing was ever compacted in this snapshot, so its revision cannot be moved on"
            )
        for mark in marks:
            data[mark.at : mark.at + _MARK_SIZE] = _REVISION.pack(revision) + b"_" + bytes(8)
        data.flush()
    with path.open("r+b") as stream:
        size = path.stat().st_size - _HASH
        os.pwrite(stream.fileno(), _digest(stream.fileno(), size), size)
        os.fsync(stream.fileno())
    return revision


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[BoltFile, mmap.mmap]]:
    with path.open("r+b") as stream:
        try:
            data = mmap.mmap(stream.fileno(), 0)
        except ValueError as error:
            raise BackupError(f"{path}: is empty") from error
        view = memoryview(data)
        try:
            yield BoltFile(view), data
        finally:
            view.release()
            data.close()


def _digest(descriptor: int, size: int) -> bytes:
    digest, at = hashlib.sha256(), 0
    while at < size:
        block = os.pread(descriptor, min(_BLOCK, size - at), at)
        if not block:
            break
        digest.update(block)
        at += len(block)
    return digest.digest()
