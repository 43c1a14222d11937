"""Stores for the suite: every driver runs every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kubeinstall.storage import Store, open_store

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same datastore, again and again."""
    urls = {"sqlite": f"sqlite://{tmp_path}/state.db"}

    async def reopen() -> Store:
        return await open_store(urls[request.param])

    return reopen


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await opener()
    yield opened
    await opened.close()
