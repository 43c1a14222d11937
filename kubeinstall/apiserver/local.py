"""The `Registry` over the engine and the watch cache of this process."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from kubeinstall.api import apply, codec, defaults
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver import select, wire
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.engine import Engine, Write, create, delete, update
from kubeinstall.apiserver.engine.engine import key_of, metadata_of
from kubeinstall.apiserver.registry import Mutate, Objects, Observer
from kubeinstall.apiserver.request import SYSTEM_USER, AdmissionAttributes, User
from kubeinstall.runtime.logs import get_logger
from kubeinstall.storage.cache import ALL, CachedObject, WatchEvent

_LOG = get_logger("kube-apiserver")

#: Who owns the fields that the server itself writes.
_MANAGER = "kube-apiserver"


class LocalRegistry:
    """See `registry.Registry`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._observers: dict[tuple[str, str], list[tuple[Served, Observer]]] = {}

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """See `Registry.get`."""
        served = self._engine.catalog.of(resource)
        key = key_of(served, namespace, name)
        item = self._engine.cache(served).get(key)
        if item is None:
            raise self._engine.missing(served, key)
        return _decoded(served, item)

    async def get_live(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """See `Registry.get_live`."""
        await self._engine.cacher.fresh()
        return self.get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Objects:
        """See `Registry.list`."""
        served = self._engine.catalog.of(resource)
        wanted = select.selection(served, namespace, selector, "")
        return [_decoded(served, item) for item in self._engine.cache(served).select(wanted)]

    async def create(
        self,
        resource: Resource,
        obj: Object,
        user: User | None = None,
        *,
        dry_run: bool = False,
        manager: str = "",
    ) -> Object:
        """See `Registry.create`."""
        served = self._engine.catalog.of(resource)
        new = codec.normalize(resource, obj)
        defaults.apply(resource, new)
        apply.update_managed_fields(resource, new, None, manager=manager or _MANAGER)
        namespace = metadata_of(new).get("namespace", "")
        write = _write(user, dry_run)
        stored = wire.to_storage(served, new)
        result = await create(self._engine, served, stored, write, namespace)
        await self._seen()
        return wire.decode(served, result.data)

    async def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        mutate: Mutate,
        *,
        subresource: str = "",
        user: User | None = None,
        dry_run: bool = False,
        admit: bool = True,
        manager: str = "",
    ) -> Object:
        """See `Registry.update`."""
        served = self._engine.catalog.of(resource)

        async def transform(old: Object | None) -> Object | None:
            if old is None:
                return None
            live = wire.from_storage(served, old)
            changed = mutate(copy.deepcopy(live))
            if changed is None:
                return None
            new = codec.normalize(resource, changed)
            defaults.apply(resource, new)
            apply.update_managed_fields(
                resource, new, live, manager=manager or _MANAGER, subresource=subresource
            )
            return wire.to_storage(served, new)

        write = _write(user, dry_run, admit=admit)
        done = await update(
            self._engine,
            served,
            namespace,
            name,
            transform,
            write,
            subresource=subresource,
        )
        await self._seen()
        return wire.decode(served, done.result.data)

    async def apply(
        self,
        resource: Resource,
        config: Object,
        *,
        manager: str,
        subresource: str = "",
        force: bool = True,
        user: User | None = None,
    ) -> Object:
        """See `Registry.apply`."""
        served = self._engine.catalog.of(resource)
        metadata = metadata_of(config)
        namespace, name = metadata.get("namespace", ""), metadata["name"]

        async def transform(old: Object | None) -> Object | None:
            if old is None and subresource:
                return None
            live = wire.from_storage(served, old) if old is not None else None
            done = apply.server_side_apply(
                resource, live, config, manager=manager, force=force, subresource=subresource
            )
            new = codec.normalize(resource, done.object)
            defaults.apply(resource, new)
            return wire.to_storage(served, new)

        done = await update(
            self._engine,
            served,
            namespace,
            name,
            transform,
            _write(user, dry_run=False),
            subresource=subresource,
            may_create=not subresource,
        )
        await self._seen()
        return wire.decode(served, done.result.data)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        options: Object | None = None,
        user: User | None = None,
        dry_run: bool = False,
    ) -> Object:
        """See `Registry.delete`."""
        served = self._engine.catalog.of(resource)
        done = await delete(
            self._engine, served, namespace, name, options or {}, _write(user, dry_run)
        )
        await self._seen()
        return wire.decode(served, done.result.data)

    async def _seen(self) -> None:
        """Wait until `get` shows what was just written: callers read back what they wrote."""
        await self._engine.cacher.fresh()

    def observe(self, resource: Resource, callback: Observer) -> None:
        """See `Registry.observe`."""
        served = self._engine.catalog.of(resource)
        cache = self._engine.cache(served)
        for item in cache.select():
            callback(None, _decoded(served, item))
        observers = self._observers.setdefault((served.storage.group, served.storage.name), [])
        observers.append((served, callback))
        if len(observers) == 1:
            cache.subscribe(ALL, lambda _kind, event: _tell(observers, event))

    def find_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """See `Registry.find_kind`."""
        for one in self._engine.catalog:
            found = one.resource
            if (found.group, found.version, found.kind) == (group, version, kind) and found.stored:
                return found
        return None

    def versions(self, resource: Resource) -> Sequence[Served]:
        """See `Registry.versions`."""
        served = self._engine.catalog.of(resource)
        return [served, *self._engine.catalog.others(served)]

    async def admit(self, attributes: AdmissionAttributes) -> None:
        """See `Registry.admit`."""
        write = Write(attributes.user)
        await self._engine.mutate(write, attributes)
        await self._engine.admit(write, attributes)


def _write(user: User | None, dry_run: bool, *, admit: bool = True) -> Write:
    options: Object = {"dryRun": ["All"]} if dry_run else {}
    return Write(user or SYSTEM_USER, dry_run, options, admit=admit)


def _tell(observers: list[tuple[Served, Observer]], event: WatchEvent) -> None:
    """Call every observer of a resource; each served version is decoded once."""
    decoded: dict[Served, tuple[Object | None, Object | None]] = {}
    for served, callback in observers:
        found = decoded.get(served)
        if found is None:
            new = None if event.deleted else _decode(served, event.current)
            found = decoded[served] = (_decode(served, event.previous), new)
        try:
            callback(*found)
        except Exception:  # noqa: BLE001 - the watch cache must go on, whatever one observer does
            _LOG.error("Observer failed", resource=served.resource.name, exc_info=True)


def _decode(served: Served, item: CachedObject | None) -> Object | None:
    return None if item is None else _decoded(served, item)


def _decoded(served: Served, item: CachedObject) -> Object:
    return wire.decode(served, wire.data_of(served, item))
