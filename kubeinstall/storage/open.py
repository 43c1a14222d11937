"""Choose a driver by the URL's scheme."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from kubeinstall.errors import SettingsError
from kubeinstall.storage.store import Store


async def open_store(url: str) -> Store:
    """Open `sqlite:///path/of/state.db` or `etcd://host:2379,host:2379?cacert=FILE&cert=FILE&key=FILE`.

    Raises `SettingsError` for a URL that no driver takes and `StoreError` when the datastore cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        from kubeinstall.storage.sqlite import SQLiteStore

        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsError(f"storage-url: {url!r}: write sqlite:// and an absolute path")
        return await SQLiteStore.open(Path(parts.path))
    if parts.scheme == "etcd":
        from kubeinstall.storage.etcd import EtcdEndpoints, EtcdStore

        return await EtcdStore.open(EtcdEndpoints.parse(url))
    known = "sqlite:///path or etcd://host:port"
    raise SettingsError(f"storage-url: {url!r}: no driver for {parts.scheme!r}; use {known}")
