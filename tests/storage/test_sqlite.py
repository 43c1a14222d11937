"""What only the SQLite driver promises: bounded size, expiry, one owner, errors that a retry mends."""

from __future__ import annotations

import asyncio
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeinstall.errors import SettingsError, StoreError
from kubeinstall.storage import open_store
from kubeinstall.storage.sqlite import SQLiteStore

KEY = "/registry/core/configmaps/x/a"


async def test_compaction_gives_space_back(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "state.db")
    revision = await store.create(KEY, b"x" * 4096)
    for _ in range(3000):
        revision = await store.update(KEY, b"x" * 4096, expected=revision)
    await store.close()
    grown = (tmp_path / "state.db").stat().st_size
    store = await SQLiteStore.open(tmp_path / "state.db")
    await store.compact(revision)
    found = await store.get(KEY)
    assert found is not None
    assert found.mod_revision == revision
    await store.close()
    assert (tmp_path / "state.db").stat().st_size < grown / 5


async def test_keys_with_a_time_to_live_expire_unless_renewed(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "state.db")
    await store.create(KEY + "1", b"short", ttl=1)
    second = await store.create(KEY + "2", b"short", ttl=1)
    await store.update(KEY + "2", b"renewed", expected=second, ttl=600)
    await store.create(KEY + "3", b"forever")
    deadline = asyncio.get_running_loop().time() + 10
    while await store.get(KEY + "1") is not None:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert await store.get(KEY + "2") is not None
    assert await store.get(KEY + "3") is not None
    await store.close()


async def test_a_second_owner_is_refused_and_the_file_is_private(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "state.db")
    with pytest.raises(StoreError, match="another process"):
        await SQLiteStore.open(tmp_path / "state.db")
    await store.create(KEY, b"secret")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    await store.close()


@pytest.fixture
def _small_files() -> Iterator[None]:
    """No file of this process may grow beyond 1 MiB: what a full disk looks like to SQLite."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("_small_files")
async def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "state.db")
    written: list[str] = []
    refused = ""
    for number in range(100):
        key = f"{KEY}{number}"
        try:
            await store.create(key, b"x" * 50_000)
        except StoreError as error:
            refused = str(error)
            break
        written.append(key)
    assert "refused a write" in refused
    for key in written:
        assert await store.get(key) is not None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    assert (
        await store.create(KEY + "after", b"x") > 0
    )  # space is there again: the same store goes on
    await store.close()


@pytest.mark.parametrize("url", ["sqlite://relative/x.db", "mysql://x", "state.db"])
async def test_urls_that_no_driver_takes(url: str) -> None:
    with pytest.raises(SettingsError, match="storage-url"):
        await open_store(url)
