"""What only the etcd driver promises: members may go away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.storage import StoreEvent, open_store
from kubeinstall.storage.etcd import EtcdEndpoints
from tests.support.etcd import run_etcd

PREFIX = "/registry/core/configmaps/x/"


async def test_writes_and_watches_survive_the_loss_of_each_member_in_turn(tmp_path: Path) -> None:
    with run_etcd(tmp_path, members=3) as cluster:
        store = await open_store(cluster.url)
        seen: list[StoreEvent] = []

        async def follow() -> None:
            async for batch in store.watch(PREFIX, since=await store.current_revision()):
                seen.extend(batch)

        watcher = asyncio.create_task(follow())
        await asyncio.sleep(0.2)
        written: dict[str, int] = {}
        for member in range(3):
            cluster.kill(member)
            for number in range(20):
                key = f"{PREFIX}{member}-{number}"
                written[key] = await store.create(key, key.encode())
            cluster.start(member)
            cluster.await_healthy()
        async with asyncio.timeout(10):
            while len(seen) < len(written):
                await asyncio.sleep(0.05)
        watcher.cancel()
        assert {event.key: event.revision for event in seen} == written
        assert len(seen) == len(written)
        await store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("etcd://", "no member is named"),
        ("etcd://host", "write host:port"),
        ("etcd://h:1?nope=x", "unknown parameter 'nope'"),
        ("etcd://h:1?cert=x", "go together"),
    ],
)
def test_urls_that_are_wrong(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        EtcdEndpoints.parse(url)
