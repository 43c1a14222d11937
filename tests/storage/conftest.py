"""Stores for the suite: every driver runs every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kubeinstall.storage import Store, open_store
from kubeinstall.storage.encryption import EncryptedStore, new_configuration, parse_configuration
from tests.support.etcd import run_etcd

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite", "etcd", "encrypted"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same datastore, again and again."""
    with ExitStack() as stack:
        url = f"sqlite://{tmp_path}/state.db"
        if request.param == "etcd":
            url = stack.enter_context(run_etcd(tmp_path)).url

        document = new_configuration(("*.*",))

        async def reopen() -> Store:
            store = await open_store(url)
            if request.param == "encrypted":
                return EncryptedStore(store, parse_configuration(document, "test"))
            return store

        yield reopen


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await opener()
    yield opened
    await opened.close()
