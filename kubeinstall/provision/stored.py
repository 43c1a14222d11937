"""What is in the datastore of this host's cluster, as it is stored: encrypted values stay so."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubeinstall.ansible.restarts import installed_settings
from kubeinstall.errors import KubeinstallError, StoreError

Object = dict[str, Any]

_PAGE = 1000


def datastore_url() -> str:
    """Where the API server of this host keeps its objects."""
    from kubeinstall.ansible.paths import COMPONENTS
    from kubeinstall.apiserver.config import ApiServerSettings
    from kubeinstall.runtime.settings import load

    settings = installed_settings().get("kube-apiserver")
    if settings is None:
        raise KubeinstallError("no API server runs on this host; do this on a control plane")
    return load(ApiServerSettings, settings, str(COMPONENTS)).datastore_url


def sqlite_path(url: str) -> Path | None:
    """The database file; None for etcd."""
    parts = urlsplit(url)
    return Path(parts.path) if parts.scheme == "sqlite" else None


def stored_values(url: str, prefix: str = "/registry/") -> Iterator[tuple[str, bytes]]:
    """(key, stored value) of everything below `prefix`, while the API server runs."""
    path = sqlite_path(url)
    if path is None:
        yield from asyncio.run(_scan(url, prefix))
        return
    from kubeinstall.storage.sqlite import reader
    from kubeinstall.storage.sqlite.schema import connect, read_revision

    connection = connect(path, read_only=True)
    try:
        newest, start, more = read_revision(connection), "", True
        while more:
            page = reader.scan(connection, prefix, 0, newest, _PAGE, start)
            yield from ((item.key, item.value) for item in page.items)
            more = page.more
            start = page.items[-1].key + "\0" if page.items else ""
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()


async def _scan(url: str, prefix: str) -> list[tuple[str, bytes]]:
    from kubeinstall.storage import open_store

    store = await open_store(url)
    try:
        found: list[tuple[str, bytes]] = []
        start, more = "", True
        while more:
            page = await store.scan(prefix, limit=_PAGE, start=start)
            found += [(item.key, item.value) for item in page.items]
            more = page.more
            start = page.items[-1].key + "\0" if page.items else ""
        return found
    finally:
        await store.close()
