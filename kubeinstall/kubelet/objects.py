"""ConfigMaps, Secrets and other objects that pods refer to by name, each watched while a pod uses it.

As upstream's watch based manager: one list and watch an object (a field selector on its name, which is all
that the node authorizer lets a node do), shared by the pods that name it and ended with the last of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, Informer
from kubeinstall.errors import NotFound, Timeout

SYNC_SECONDS = 10.0
_SINGULAR = {"v1/configmaps": "configmap", "v1/secrets": "secret"}

Key = tuple[str, str, str]
"""(resource, namespace, name)."""


@dataclass(slots=True)
class _Entry:
    informer: Informer
    task: asyncio.Task[None]
    users: set[str] = field(default_factory=set)


class Objects:
    """The watched objects. `on_change(uid)` is called for each pod that uses one that changed."""

    def __init__(self, client: ApiClient, on_change: Callable[[str], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._entries: dict[Key, _Entry] = {}

    async def get(self, uid: str, resource: str, namespace: str, name: str) -> Object:
        """The object's latest state, for the pod `uid`. Raises `NotFound`, or `Timeout` without an API server."""
        key = (resource, namespace, name)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._start(key)
        entry.users.add(uid)
        kind = _SINGULAR.get(resource, resource.rpartition("/")[2])
        if not entry.informer.synced():
            try:
                async with asyncio.timeout(SYNC_SECONDS):
                    await entry.informer.wait_synced()
            except TimeoutError as error:
                raise Timeout(
                    f"failed to sync {kind} cache: timed out waiting for the condition"
                ) from error
        found = entry.informer.get(name, namespace)
        if found is None:
            raise NotFound(f'{kind} "{name}" not found')
        return found

    def release(self, uid: str) -> None:
        """The pod is gone: stop what only it used."""
        for key, entry in list(self._entries.items()):
            entry.users.discard(uid)
            if not entry.users:
                entry.task.cancel()
                del self._entries[key]

    def users_of(self, key: Key) -> set[str]:
        """The uids of the pods that use an object."""
        entry = self._entries.get(key)
        return set(entry.users) if entry else set()

    async def close(self) -> None:
        """Stop all watches."""
        tasks = [entry.task for entry in self._entries.values()]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Key) -> _Entry:
        resource, namespace, name = key
        informer = Informer(
            self._client, resource, namespace, field_selector=f"metadata.name={name}"
        )
        task = asyncio.create_task(informer.run(), name=f"watch {resource} {namespace}/{name}")
        entry = _Entry(informer, task)
        self._entries[key] = entry

        def changed(old: Object | None, new: Object | None) -> None:
            for uid in list(entry.users):
                self._on_change(uid)

        informer.add_handler(changed)
        return entry
