from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubeinstall.api.resources import find
from kubeinstall.apiserver.catalog import Catalog, cache_of, fields_for
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.engine import Engine
from kubeinstall.apiserver.handlers.list import Listing, read
from kubeinstall.apiserver.local import LocalRegistry
from kubeinstall.apiserver.params import list_options
from kubeinstall.errors import Expired
from kubeinstall.storage.cache import Cacher, Selection
from kubeinstall.storage.open import open_store


async def test_tokens_of_a_compacted_revision_are_refused_also_where_nothing_changed(
    tmp_path: Path,
) -> None:
    """What the conformance test of API chunking waits for: its collection does not change meanwhile."""
    store = await open_store(f"sqlite://{tmp_path}/state.db")
    cacher = Cacher(store, fields_for)
    await cacher.start()
    following = asyncio.create_task(cacher.run())
    catalog = Catalog()
    engine = Engine(catalog, store, cacher, 60)
    registry = engine.registry = LocalRegistry(engine)
    maps, secrets = (find("", "v1", name) for name in ("configmaps", "secrets"))
    assert maps is not None
    assert secrets is not None
    served = catalog.of(maps)
    core: Any = SimpleNamespace(store=store, cacher=cacher, cache=lambda one: cache_of(cacher, one))

    async def page(token: str) -> Listing:
        options = list_options({"limit": "1", "continue": token})
        return await read(cast("Core", core), served, Selection(namespace="ns"), options)

    try:
        for name in ("a", "b", "c"):
            await registry.create(maps, {"metadata": {"name": name, "namespace": "ns"}})
        first = await page("")
        for name in ("x", "y"):
            await registry.create(secrets, {"metadata": {"name": name, "namespace": "ns"}})
        assert [item.name for item in (await page(first.continue_token)).found] == ["b"]
        await store.compact(cacher.revision)
        with pytest.raises(Expired, match="continue parameter is too old") as caught:
            await page(first.continue_token)
        rest = await page(str(caught.value.metadata["continue"]))
        assert [item.name for item in rest.found] == ["b"]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await store.close()
