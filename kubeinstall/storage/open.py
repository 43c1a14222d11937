"""Choose a driver by the URL's scheme."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from kubeinstall.errors import SettingsError
from kubeinstall.storage.store import Store


async def open_store(url: str) -> Store:
    """Open `sqlite:///path/of/state.db`.

    Raises `SettingsError` for a URL that no driver takes and `StoreError` when the datastore cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        from kubeinstall.storage.sqlite import SQLiteStore

        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsError(f"storage-url: {url!r}: write sqlite:// and an absolute path")
        return await SQLiteStore.open(Path(parts.path))
    raise SettingsError(f"storage-url: {url!r}: no driver for {parts.scheme!r}; use sqlite:///path")
