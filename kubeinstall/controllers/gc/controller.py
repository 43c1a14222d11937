"""The garbage collector: watches every type that can be deleted, and collects."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import Informer, InformerSet
from kubeinstall.controllers.common.discovery import Discovered, Found, discover
from kubeinstall.controllers.controller import Controller, ControllerContext
from kubeinstall.controllers.gc.collecting import Collector
from kubeinstall.controllers.gc.graph import Graph
from kubeinstall.errors import StatusError

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"
API_SERVICES = "apiregistration.k8s.io/v1/apiservices"
#: Events come and go in great numbers and own nothing.
_IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
#: A definition is served a moment after it is written.
SETTLE_SECONDS = 0.3
RETRY_SECONDS = 5.0
_KEPT = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
    "finalizers",
    "deletionTimestamp",
)


class GarbageCollector(Controller):
    """Keys are UIDs."""

    name: ClassVar[str] = "garbage-collector-controller"
    component: ClassVar[str] = "garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._set: InformerSet = context.informers
        self._deletes = self.new_queue("garbage_collector_attempt_to_delete")
        self._orphans = self.new_queue("garbage_collector_attempt_to_orphan")
        self.graph = Graph(self._deletes.add, self._orphans.add)
        self._kinds: dict[tuple[str, str], Found] = {}
        self._collector = Collector(self.client, self.graph, self._lookup, self._deletes.add)
        self._monitors: dict[str, tuple[Informer, bool]] = {}
        self._dirty = asyncio.Event()
        for gvr in (CRDS, API_SERVICES):
            self.informer(gvr, metadata_only=True, transform=slim).add_handler(self._types_changed)

    def _types_changed(self, old: Object | None, new: Object | None) -> None:
        self._dirty.set()

    def _lookup(self, api_version: str, kind: str) -> Found | None:
        return self._kinds.get((api_version, kind))

    async def run(self) -> None:
        """Watch and collect until cancelled."""
        if not self.settings.enable_garbage_collector:
            return
        await self._discover_until_it_works()
        for informer, _ in list(self._monitors.values()):
            # Deleting on half a graph would be wrong only in being slow: each case is checked with
            # the server. But it is cheaper to wait.
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_types(), name="gc types")
            group.create_task(
                self._deletes.run(self._collect, self.settings.concurrent_gc_syncs), name="gc"
            )
            group.create_task(self._orphans.run(self._free, 5), name="gc orphans")

    async def _collect(self, uid: str) -> None:
        await self._collector.collect(uid)

    async def _free(self, uid: str) -> None:
        await self._collector.free_dependents(uid)

    async def _follow_types(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._dirty.clear()
            await self._discover_until_it_works()

    async def _discover_until_it_works(self) -> None:
        while True:
            try:
                found = await discover(self.client)
                break
            except StatusError as error:
                self.log.debug("discovery failed", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        self._kinds = found.by_kind()
        await self._sync_monitors(found)

    async def _sync_monitors(self, found: Discovered) -> None:
        wanted = {
            r.gvr: r
            for r in found.preferred("list", "watch", "delete")
            if (r.group, r.plural) not in _IGNORED
        }
        for gvr in wanted.keys() - self._monitors.keys():
            self._monitor(wanted[gvr])
        stale_groups = {name.partition("/")[0] for name in found.failed}
        for gvr in self._monitors.keys() - wanted.keys():
            # A group that could not be asked is not gone.
            if gvr.partition("/")[0] in stale_groups:
                continue
            _, own = self._monitors.pop(gvr)
            if own:
                await self._set.stop(gvr, metadata_only=True)
            self.graph.forget_type(gvr)

    def _monitor(self, resource: Found) -> None:
        gvr = resource.gvr
        # An informer that another controller has already costs nothing more; else metadata will do.
        shared = self._set.existing(gvr)
        informer = shared or self._set.informer(gvr, metadata_only=True, transform=slim)
        self._monitors[gvr] = (informer, shared is None)
        informer.add_handler(partial(self._observe, resource))

    def _observe(self, resource: Found, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.graph.observe(resource.gvr, resource.api_version, resource.kind, new)
        elif old is not None:
            self.graph.forget(old["metadata"]["uid"])


def slim(obj: Object) -> Object:
    """The transform of the collector's own informers: what the graph needs and no more."""
    meta = obj["metadata"]
    return {"metadata": {name: meta[name] for name in _KEPT if name in meta}}
