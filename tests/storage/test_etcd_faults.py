"""The etcd driver while things go wrong: what was acknowledged is there, and a watch misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kubeinstall.errors import KeyExists, RevisionCompacted, StoreError
from kubeinstall.storage import Store, StoreEvent, open_store
from tests.support.etcd import RunningEtcd, run_etcd

pytestmark = pytest.mark.timeout(120)

PREFIX = "/registry/core/configmaps/x/"
_SETTLE_SECONDS = 30.0


async def write_while(store: Store, count: int, going: asyncio.Event) -> dict[str, int]:
    """Keys that were acknowledged, by revision; `count` each by four writers, or until `going` is cleared."""
    written: dict[str, int] = {}

    async def writer(number: int) -> None:
        for i in range(count):
            key = f"{PREFIX}{number}-{i:04}"
            with contextlib.suppress(StoreError):  # not acknowledged: it may be there or not
                written[key] = await store.create(key, key.encode())
            if not going.is_set() and i > 20:
                return

    await asyncio.gather(*(writer(number) for number in range(4)))
    return written


async def follow(store: Store, since: int, seen: list[StoreEvent]) -> None:
    async for batch in store.watch(PREFIX, since=since):
        seen.extend(batch)


async def survive(url: str, trouble: Callable[[], Awaitable[None]]) -> None:
    """Write and watch while `trouble` lasts; then everything acknowledged must be there, and have been seen once."""
    store = await open_store(url)
    watching = await open_store(url)
    seen: list[StoreEvent] = []
    going = asyncio.Event()
    going.set()
    watcher = asyncio.create_task(follow(watching, await watching.current_revision(), seen))
    await asyncio.sleep(0.3)
    writing = asyncio.create_task(write_while(store, 400, going))
    await trouble()
    going.clear()
    written = await writing
    assert len(written) >= 80, "almost nothing was acknowledged"
    page = await store.scan(PREFIX)
    there = {item.key: item.mod_revision for item in page.items}
    assert written.items() <= there.items(), "an acknowledged write is lost"
    async with asyncio.timeout(_SETTLE_SECONDS):
        while not watcher.done() and {event.key for event in seen} != set(there):
            await asyncio.sleep(0.1)
    assert not watcher.done(), watcher
    watcher.cancel()
    revisions = [event.revision for event in seen]
    assert revisions == sorted(set(revisions)), "seen twice or out of order"
    assert {event.key: event.revision for event in seen} == there
    await store.close()
    await watching.close()


async def test_members_that_hang_and_die(tmp_path: Path) -> None:
    with run_etcd(tmp_path, members=3) as cluster:

        async def trouble() -> None:
            for member in range(3):
                cluster.stall(member)
                await asyncio.sleep(1.5)
                cluster.stall(member, on=False)
                await asyncio.sleep(0.5)
                cluster.kill(member)
                await asyncio.sleep(0.5)
                cluster.start(member)
                await asyncio.to_thread(cluster.await_healthy)

        await survive(cluster.url, trouble)


async def test_a_member_that_hangs_for_long_is_left(tmp_path: Path) -> None:
    with run_etcd(tmp_path, members=3) as cluster:

        async def trouble() -> None:
            cluster.stall(0)  # the first of the list, which is in use
            await asyncio.sleep(20)

        await survive(cluster.url, trouble)
        cluster.stall(0, on=False)


async def test_connections_that_break_again_and_again(tmp_path: Path) -> None:
    with run_etcd(tmp_path, members=3) as cluster:
        async with proxies(cluster) as (url, cut):

            async def trouble() -> None:
                chance = random.Random(3)
                for _ in range(20):
                    await asyncio.sleep(chance.uniform(0.05, 0.4))
                    cut()

            await survive(url, trouble)


async def test_a_create_whose_answer_was_lost_is_no_conflict(tmp_path: Path) -> None:
    with run_etcd(tmp_path) as cluster:
        async with proxies(cluster) as (url, cut):
            store = await open_store(url)
            stop = asyncio.Event()

            async def trouble() -> None:
                while not stop.is_set():
                    await asyncio.sleep(0.03)
                    cut()

            cutting = asyncio.create_task(trouble())
            for i in range(40):
                await store.create(f"{PREFIX}{i}", f"{i}".encode())
            stop.set()
            await cutting
            with pytest.raises(KeyExists):
                await store.create(f"{PREFIX}0", b"another")
            assert len((await store.scan(PREFIX)).items) == 40
            await store.close()


async def test_a_watch_that_falls_behind_a_compaction_says_so(tmp_path: Path) -> None:
    with run_etcd(tmp_path, members=3) as cluster:
        store = await open_store(cluster.url)
        since = await store.current_revision()
        batches = aiter(store.watch(PREFIX, since=since))
        seen = [*(await first_of(store, batches))]
        for i in range(1, 200):
            await store.create(f"{PREFIX}{i:03}", b"x" * 100)
        cluster.kill(0)
        newest = await store.current_revision()
        await store.compact(newest)
        cluster.start(0)
        missed = False
        try:
            async with asyncio.timeout(20):
                while len(seen) < 200:
                    seen.extend(await anext(batches))
        except RevisionCompacted:
            missed = True
        # All of it, or the word that some is missing: never a gap.
        revisions = [event.revision for event in seen]
        assert revisions == list(range(since + 1, since + 1 + len(seen)))
        assert missed or len(seen) == 200
        with pytest.raises(RevisionCompacted):
            await asyncio.wait_for(anext(aiter(store.watch(PREFIX, since=since))), 10)
        await store.close()


async def first_of(store: Store, batches: AsyncIterator[list[StoreEvent]]) -> list[StoreEvent]:
    """The first event, so that the watch is known to run."""
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0.3)
    await store.create(f"{PREFIX}000", b"x")
    return await asyncio.wait_for(waiting, 10)


async def test_a_full_etcd_says_so_in_its_own_words_and_goes_on_reading(tmp_path: Path) -> None:
    with run_etcd(tmp_path, arguments=("--quota-backend-bytes=2000000",)) as cluster:
        store = await open_store(cluster.url)
        with pytest.raises(StoreError) as caught:  # noqa: PT012 - which of the writes fails is etcd's choice
            for i in range(200):
                await store.create(f"{PREFIX}{i}", b"x" * 50_000)
        assert str(caught.value) == "etcdserver: mvcc: database space exceeded"
        found = await store.get(f"{PREFIX}0")
        assert found is not None
        assert await store.delete(found.key, expected=found.mod_revision)
        await store.close()


@contextlib.asynccontextmanager
async def proxies(cluster: RunningEtcd) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """A way to each member that can be cut: the URL, and what cuts all that is connected."""
    connected: set[asyncio.StreamWriter] = set()
    servers = []

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    def accept_for(port: int) -> Callable[..., Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            connected.update((writer, back))
            await asyncio.gather(pump(reader, back), pump(there, writer))

        return accept

    def cut() -> None:
        for writer in connected:
            writer.transport.abort()
        connected.clear()

    for client, _ in cluster.ports:
        servers.append(await asyncio.start_server(accept_for(client), "127.0.0.1", 0))
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    try:
        yield "etcd://" + ",".join(f"127.0.0.1:{port}" for port in ports), cut
    finally:
        for server in servers:
            server.close()
        cut()
