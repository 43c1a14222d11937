from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubeinstall.api.resources import Resource, find
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Catalog, fields_for
from kubeinstall.apiserver.engine import Engine
from kubeinstall.apiserver.local import LocalRegistry
from kubeinstall.errors import AlreadyExists, Conflict, NotFound
from kubeinstall.storage.cache import Cacher
from kubeinstall.storage.open import open_store


def kind(name: str) -> Resource:
    found = find("", "v1", name)
    assert found is not None
    return found


MAPS = kind("configmaps")


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[LocalRegistry]:
    store = await open_store(f"sqlite://{directory}/state.db")
    cacher = Cacher(store, fields_for)
    await cacher.start()
    task = asyncio.create_task(cacher.run())
    engine = Engine(Catalog(), store, cacher, 60)
    registry = LocalRegistry(engine)
    engine.registry = registry
    try:
        yield registry
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


def new(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}, "data": {"k": "v"}}


async def test_writers_read_what_they_wrote(tmp_path: Path) -> None:
    async with running(tmp_path) as registry:
        made = await registry.create(MAPS, new("a"))
        assert registry.get(MAPS, "a", "ns") == made
        assert made["metadata"]["managedFields"][0]["manager"] == "kube-apiserver"
        with pytest.raises(AlreadyExists):
            await registry.create(MAPS, new("a"))
        assert [one["metadata"]["name"] for one in registry.list(MAPS, "ns")] == ["a"]
        await registry.delete(MAPS, "ns", "a")
        with pytest.raises(NotFound):
            registry.get(MAPS, "a", "ns")


async def test_a_mutator_may_do_what_it_likes_with_its_copy(tmp_path: Path) -> None:
    async with running(tmp_path) as registry:
        made = await registry.create(MAPS, new("a"))

        def spoil_then_leave(obj: Object) -> None:
            obj["data"].clear()

        same = await registry.update(MAPS, "ns", "a", spoil_then_leave)
        assert same == made

        def change(obj: Object) -> Object:
            obj["data"]["k"] = "2"
            return obj

        changed = await registry.update(MAPS, "ns", "a", change, manager="me")
        assert changed["data"] == {"k": "2"}
        assert changed["metadata"]["managedFields"][-1]["manager"] == "me"

        def stale(obj: Object) -> Object:
            obj["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
            return obj

        with pytest.raises(Conflict):
            await registry.update(MAPS, "ns", "a", stale)


async def test_an_observer_that_fails_harms_nobody(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def fail(_old: Object | None, new: Object | None) -> None:
        if new is not None and new["metadata"]["name"] == "bad":
            raise ValueError("bad")

    def note(old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        seen.append((name, "gone" if new is None else "there"))

    async with running(tmp_path) as registry:
        await registry.create(MAPS, new("first"))
        registry.observe(MAPS, fail)
        registry.observe(MAPS, note)
        await registry.create(MAPS, new("bad"))
        await registry.delete(MAPS, "ns", "bad")
        await registry.create(MAPS, new("last"))
    assert seen == [("first", "there"), ("bad", "there"), ("bad", "gone"), ("last", "there")]
