"""Snapshots of a real etcd: read without its programs, moved on, and put back with them."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from kubeinstall.errors import RevisionCompacted
from kubeinstall.provision.backup import snapshot
from kubeinstall.provision.backup.manifest import BackupError
from kubeinstall.storage import open_store
from tests.support.etcd import RunningEtcd, run_etcd

PREFIX = "/registry/core/configmaps/default/"


async def fill(url: str) -> int:
    """3000 keys, so that the tree has branches; some written twice, some deleted. The newest revision."""
    store = await open_store(url)
    try:
        for first in range(0, 3000, 100):
            await asyncio.gather(
                *(
                    store.create(f"{PREFIX}{i:05}", b"v" * 300 + str(i).encode())
                    for i in range(first, first + 100)
                )
            )
        for i in range(20):
            found = await store.get(f"{PREFIX}{i:05}")
            assert found is not None
            await store.update(found.key, b"again", expected=found.mod_revision)
        for i in range(20, 50):
            found = await store.get(f"{PREFIX}{i:05}")
            assert found is not None
            await store.delete(found.key, expected=found.mod_revision)
        return await store.current_revision()
    finally:
        await store.close()


def restored(snapshot_file: Path, cluster: RunningEtcd, folder: Path) -> None:
    """Stop the member, put the snapshot in the place of its data, start it."""
    cluster.kill(0)
    data = cluster.directory / "etcd-0"
    data.rename(folder / "before")
    subprocess.run(
        [
            *("etcdctl", "snapshot", "restore", str(snapshot_file), "--data-dir", str(data)),
            *("--name=m0", f"--initial-cluster=m0=http://127.0.0.1:{cluster.ports[0][1]}"),
            f"--initial-advertise-peer-urls=http://127.0.0.1:{cluster.ports[0][1]}",
        ],
        check=True,
        capture_output=True,
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"},
    )
    cluster.start(0)
    cluster.await_healthy()


async def test_a_snapshot_is_read_moved_on_and_restored(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with run_etcd(tmp_path) as cluster:
        newest = await fill(cluster.url)
        await asyncio.to_thread(snapshot.take_snapshot, cluster.url, path)
        assert path.stat().st_mode & 0o777 == 0o600
        found = snapshot.read_snapshot(path, (f"{PREFIX}0000", f"{PREFIX}0002"))
        assert (found.revision, found.objects) == (newest, 3000 - 30)
        assert found.values == {f"{PREFIX}{i:05}": b"again" for i in range(10)}

        assert snapshot.move_on(path) == newest + snapshot.BUMP
        snapshot.check_hash(path)
        assert snapshot.read_snapshot(path).objects == found.objects
        await asyncio.to_thread(restored, path, cluster, tmp_path)
        store = await open_store(cluster.url)
        try:
            assert await store.current_revision() == newest + snapshot.BUMP
            assert len((await store.scan(PREFIX)).items) == found.objects
            assert await store.create(f"{PREFIX}x", b"1") == newest + snapshot.BUMP + 1
            with pytest.raises(RevisionCompacted):
                await asyncio.wait_for(anext(aiter(store.watch(PREFIX, since=newest))), 10)
        finally:
            await store.close()


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with run_etcd(tmp_path) as cluster:
        snapshot.take_snapshot(cluster.url, path)
    whole = path.read_bytes()
    for damaged, message in (
        (whole[:-1000], "cut off"),
        (whole[: 10 * 512 + 32], "checksum"),
        (whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "checksum"),
        (b"", "no snapshot"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(BackupError, match=message):
            snapshot.check_hash(path)
    path.write_bytes(b"\0" * (1 << 16))
    with pytest.raises(BackupError, match="no valid head"):
        snapshot.read_snapshot(path)


def test_an_etcd_that_does_not_answer_gives_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeinstall.storage.etcd.connection.RETRY_SECONDS", 0.5)
    with run_etcd(tmp_path) as cluster:
        url = cluster.url
    with pytest.raises(BackupError, match="etcd gives no snapshot"):
        snapshot.take_snapshot(url, tmp_path / "s.db")
