"""What every driver of the store protocol does."""

from __future__ import annotations

import asyncio

import pytest

from kubeinstall.errors import KeyConflict, KeyExists, RevisionCompacted, RevisionInFuture
from kubeinstall.storage import Store, StoreEvent, StoreWatch
from tests.storage.conftest import Opener

A, B, C = "/registry/core/pods/x/a", "/registry/core/pods/x/b", "/registry/core/pods/y/c"
PODS = "/registry/core/pods/"


async def take(watch: StoreWatch, count: int) -> list[StoreEvent]:
    events: list[StoreEvent] = []
    async with asyncio.timeout(5):
        async for batch in watch:
            events += batch
            if len(events) >= count:
                return events
    raise AssertionError("the watch ended")


async def test_create_get_update_delete(store: Store) -> None:
    first = await store.create(A, b"1")
    found = await store.get(A)
    assert found is not None
    assert (found.value, found.create_revision, found.mod_revision) == (b"1", first, first)
    second = await store.update(A, b"2", expected=first)
    assert second == first + 1
    found = await store.get(A)
    assert found is not None
    assert (found.value, found.create_revision, found.mod_revision) == (b"2", first, second)
    assert await store.delete(A, expected=second) == second + 1
    assert await store.get(A) is None
    again = await store.create(A, b"3")
    found = await store.get(A)
    assert found is not None
    assert found.create_revision == again


async def test_guards_refuse_and_cost_no_revision(store: Store) -> None:
    first = await store.create(A, b"1")
    with pytest.raises(KeyExists):
        await store.create(A, b"2")
    with pytest.raises(KeyConflict):
        await store.update(A, b"2", expected=first + 5)
    with pytest.raises(KeyConflict):
        await store.update(B, b"2", expected=first)
    with pytest.raises(KeyConflict):
        await store.update(B, b"2", expected=0)
    with pytest.raises(KeyConflict):
        await store.delete(B, expected=first)
    assert await store.current_revision() == first


async def test_concurrent_updates_let_exactly_one_through(store: Store) -> None:
    first = await store.create(A, b"0")
    writes = [store.update(A, str(n).encode(), expected=first) for n in range(50)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, KeyConflict) for result in results) == 49


async def test_scan_pages_in_key_order_at_one_revision(store: Store) -> None:
    for key in (C, A, B):
        await store.create(key, key.encode())
    page = await store.scan(PODS, limit=2)
    assert [item.key for item in page.items] == [A, B]
    assert (page.more, page.remaining) == (True, 1)
    found = await store.get(C)
    assert found is not None
    await store.delete(C, expected=found.mod_revision)
    rest = await store.scan(PODS, revision=page.revision, limit=2, start=B + "\0")
    assert [item.key for item in rest.items] == [C]
    assert not rest.more
    assert [item.key for item in (await store.scan(PODS)).items] == [A, B]
    assert [item.key for item in (await store.scan(PODS + "x/")).items] == [A, B]


async def test_reads_at_a_revision(store: Store) -> None:
    first = await store.create(A, b"1")
    second = await store.update(A, b"2", expected=first)
    old = await store.get(A, revision=first)
    assert old is not None
    assert old.value == b"1"
    with pytest.raises(RevisionInFuture):
        await store.get(A, revision=second + 1)
    await store.compact(second)
    with pytest.raises(RevisionCompacted):
        await store.get(A, revision=first)
    with pytest.raises(RevisionCompacted):
        await store.scan(PODS, revision=first)
    assert await store.compacted_revision() == second


async def test_watch_replays_then_goes_live_without_a_gap(store: Store) -> None:
    first = await store.create(A, b"1")
    await store.create(B, b"1")
    watch = store.watch(PODS, since=first)
    second = await store.update(A, b"2", expected=first)
    third = await store.delete(A, expected=second)
    await store.create("/registry/core/secrets/x/s", b"other resource")
    events = await take(watch, 3)
    watch.close()
    assert [(e.revision, e.key, e.value, e.previous) for e in events] == [
        (first + 1, B, b"1", None),
        (second, A, b"2", b"1"),
        (third, A, None, b"2"),
    ]
    assert events[0].created
    assert not events[1].created


async def test_watch_from_compacted_history_is_refused(store: Store) -> None:
    first = await store.create(A, b"1")
    second = await store.update(A, b"2", expected=first)
    await store.update(A, b"3", expected=second)
    await store.compact(second)
    with pytest.raises(RevisionCompacted):
        await take(store.watch(PODS, since=first - 1), 1)
    events = await take(store.watch(PODS, since=second), 1)
    assert (events[0].value, events[0].previous) == (b"3", b"2")


async def test_everything_survives_reopening(opener: Opener) -> None:
    store = await opener()
    first = await store.create(A, b"1")
    second = await store.create(B, b"1")
    await store.delete(B, expected=second)
    await store.close()
    store = await opener()
    try:
        assert await store.current_revision() == second + 1
        assert await store.get(B) is None
        assert len(await take(store.watch(PODS, since=first), 2)) == 2
        assert await store.create(B, b"2") == second + 2
    finally:
        await store.close()


async def test_a_revision_is_never_given_twice_after_everything_was_compacted(
    opener: Opener,
) -> None:
    store = await opener()
    first = await store.create(A, b"1")
    gone = await store.delete(A, expected=first)
    await store.compact(gone)
    await store.close()
    store = await opener()
    try:
        assert await store.create(A, b"1") == gone + 1
    finally:
        await store.close()
