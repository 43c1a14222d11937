"""The watch cache over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson
import pytest

from kubeinstall.api.types import Object
from kubeinstall.errors import RevisionCompacted, Timeout
from kubeinstall.storage import Store
from kubeinstall.storage.cache import ALL, Cacher, Selection, WatchEvent, resource_prefix
from tests.storage.conftest import Opener

PREFIX = resource_prefix("", "pods")


def pod(name: str, *, node: str = "", **labels: str) -> bytes:
    return orjson.dumps({"metadata": {"name": name, "labels": labels}, "spec": {"nodeName": node}})


def fields_of(item: Object) -> Mapping[str, str]:
    return {"spec.nodeName": item["spec"]["nodeName"]}


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Cacher]:
    cacher = Cacher(store, lambda _group, _plural: fields_of)
    await cacher.start()
    task = asyncio.create_task(cacher.run())
    try:
        yield cacher
    finally:
        task.cancel()
        await asyncio.wait({task})


def by_label(key: str, value: str) -> Selection:
    return Selection(labels=lambda have: have.get(key) == value, label_equals=((key, value),))


def by_node(node: str) -> Selection:
    return Selection(
        fields=lambda have: have["spec.nodeName"] == node,
        field_equals=(("spec.nodeName", node),),
    )


async def test_data_is_the_stored_body_with_its_revision(store: Store) -> None:
    async with running(store) as cacher:
        revision = await store.create(PREFIX + "x/a", pod("a", app="web"))
        await cacher.fresh()
        item = cacher.resource("", "pods").get("x/a")
        assert item is not None
        assert (item.namespace, item.name) == ("x", "a")
        assert item.object()["metadata"]["resourceVersion"] == str(revision)
        assert item.body() == pod("a", app="web")
        assert item.labels == {"app": "web"}


async def test_what_is_no_object_is_in_no_cache(store: Store) -> None:
    keys = ("/registry/masterleases/10.0.0.1", "/registry/ranges/servicenodeports/30000")
    await store.create(keys[0], b"before")
    async with running(store) as cacher:
        revision = await store.create(keys[1], b"after")
        await cacher.caught_up(revision)
        assert cacher.caches() == []
    async with running(store) as cacher:  # its history holds them too
        assert cacher.caches() == []


async def test_selects_in_key_order_with_and_without_indexes(store: Store) -> None:
    for namespace, name, app, node in [
        ("y", "d", "web", "n2"),
        ("x", "c", "db", "n1"),
        ("x", "a", "web", "n1"),
        ("x-1", "b", "web", "n1"),
    ]:
        await store.create(f"{PREFIX}{namespace}/{name}", pod(name, node=node, app=app))
    async with running(store) as cacher:
        cache = cacher.resource("", "pods")

        def keys(selection: Selection, start: str = "") -> list[str]:
            return [item.key for item in cache.select(selection, start=start)]

        assert keys(ALL) == ["x-1/b", "x/a", "x/c", "y/d"]
        assert keys(ALL, "x/b") == ["x/c", "y/d"]
        assert keys(Selection(namespace="x")) == ["x/a", "x/c"]
        assert keys(Selection(namespace="x", name="c")) == ["x/c"]
        assert keys(Selection(name="b")) == ["x-1/b"]
        assert keys(by_label("app", "web")) == ["x-1/b", "x/a", "y/d"]
        assert keys(by_label("app", "none")) == []
        assert keys(by_node("n1")) == ["x-1/b", "x/a", "x/c"]
        found = await store.get(PREFIX + "x/a")
        assert found is not None
        moved = pod("a", node="n2", app="db")
        await store.update(PREFIX + "x/a", moved, expected=found.mod_revision)
        await cacher.fresh()
        assert keys(by_label("app", "web")) == ["x-1/b", "y/d"]
        assert keys(by_node("n2")) == ["x/a", "y/d"]
        assert cache.count(by_node("n1")) == 2


async def test_watchers_see_objects_enter_and_leave_their_selection(store: Store) -> None:
    async with running(store) as cacher:
        seen: list[tuple[str, str, int]] = []

        def sink(kind: str, event: WatchEvent) -> None:
            seen.append((kind, event.current.name, event.revision))

        subscription = cacher.resource("", "pods").subscribe(by_label("app", "web"), sink)
        one = await store.create(PREFIX + "x/a", pod("a", app="db"))
        two = await store.update(PREFIX + "x/a", pod("a", app="web"), expected=one)
        three = await store.update(PREFIX + "x/a", pod("a", app="web", v="2"), expected=two)
        four = await store.update(PREFIX + "x/a", pod("a", app="db"), expected=three)
        five = await store.update(PREFIX + "x/a", pod("a", app="web"), expected=four)
        six = await store.delete(PREFIX + "x/a", expected=five)
        await cacher.fresh()
        kinds = [("ADDED", two), ("MODIFIED", three), ("DELETED", four), ("ADDED", five)]
        assert seen == [(kind, "a", at) for kind, at in [*kinds, ("DELETED", six)]]
        subscription.cancel()
        await store.create(PREFIX + "x/b", pod("b", app="web"))
        await cacher.fresh()
        assert len(seen) == 5


async def test_an_event_is_encoded_once_for_all_watchers(store: Store) -> None:
    async with running(store) as cacher:
        encoded: list[int] = []

        def encode(event: WatchEvent) -> bytes:
            encoded.append(event.revision)
            return event.current.data

        frames: list[bytes] = []
        for _ in range(10):
            cacher.resource("", "pods").subscribe(
                ALL, lambda _kind, event: frames.append(event.frame("json", encode))
            )
        await store.create(PREFIX + "x/a", pod("a"))
        await cacher.fresh()
        assert len(frames) == 10
        assert len(encoded) == 1


async def test_watchers_resume_after_a_restart(opener: Opener) -> None:
    store = await opener()
    one = await store.create(PREFIX + "x/a", pod("a"))
    two = await store.update(PREFIX + "x/a", pod("a", app="web"), expected=one)
    three = await store.delete(PREFIX + "x/a", expected=two)
    await store.close()
    store = await opener()
    async with running(store) as cacher:
        events = list(cacher.resource("", "pods").events_since(one))
        assert [(e.revision, e.type_for(ALL)) for e in events] == [
            (two, "MODIFIED"),
            (three, "DELETED"),
        ]
        assert orjson.loads(events[1].current.data)["metadata"]["resourceVersion"] == str(three)
    await store.close()


async def test_a_window_that_overflowed_says_so(store: Store) -> None:
    revision = await store.create(PREFIX + "x/a", pod("a"))
    async with running(store) as cacher:
        first = revision
        body = orjson.dumps({"metadata": {"name": "a"}, "spec": {"nodeName": "x" * 1_000_000}})
        for _ in range(20):
            revision = await store.update(PREFIX + "x/a", body, expected=revision)
        await cacher.fresh()
        cache = cacher.resource("", "pods")
        with pytest.raises(RevisionCompacted, match="too old resource version"):
            cache.events_since(first)
        assert len(list(cache.events_since(revision - 1))) == 1


async def test_waiting_for_a_revision_that_never_comes_times_out(store: Store) -> None:
    async with running(store) as cacher:
        with pytest.raises(Timeout, match="Too large resource version: 99"):
            await cacher.caught_up(99, seconds=0.05)
