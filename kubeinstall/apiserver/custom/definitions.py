"""Definitions come and go: their resources are served, their status is kept, their objects are removed with them.

Every API server follows the definitions in its watch cache, so all serve the same; status is written by whichever
server is first, with guarded updates.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kubeinstall.api import resources
from kubeinstall.api.custom import custom_resource, served_versions, storage_version
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.client import WebhookClient
from kubeinstall.apiserver.custom.conditions import holds, set_condition
from kubeinstall.apiserver.custom.conversion import WebhookConverter
from kubeinstall.apiserver.custom.names import accept_names
from kubeinstall.apiserver.custom.reading import reading
from kubeinstall.errors import Conflict, KubeinstallError, NotFound

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from kubeinstall.apiserver.catalog import Catalog
    from kubeinstall.apiserver.registry import Registry

GROUP = "apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_RETRY_SECONDS = 1.0
_DELETED_AT_ONCE = 100


class CustomResources:
    """Keeps the catalog and the definitions' status; `run()` works until cancelled."""

    def __init__(self, registry: Registry, catalog: Catalog, log: FilteringBoundLogger) -> None:
        found = resources.find(GROUP, "v1", "customresourcedefinitions")
        if found is None:
            raise LookupError("customresourcedefinitions are not a resource")
        self._kind = found
        self._registry = registry
        self._catalog = catalog
        self._log = log
        self._served: dict[str, list[Resource]] = {}
        self._pending: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._client = WebhookClient(registry)
        registry.observe(found, self._changed)

    async def run(self) -> None:
        """Reconcile one definition after the other; a failure is tried again after a second."""
        try:
            await self._work()
        finally:
            await self._client.close()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                name = next(iter(self._pending))
                del self._pending[name]
                try:
                    await self._reconcile(name)
                except NotFound:
                    continue
                except KubeinstallError as error:
                    self._log.warning(
                        "Definition not reconciled", definition=name, error=str(error)
                    )
                    asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._queue, name)

    def _queue(self, name: str) -> None:
        self._pending[name] = None
        self._wake.set()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """Called with every definition at start, and with every change."""
        if new is None:
            if old is not None:
                self._withdraw(old["metadata"]["name"])
                self._queue_group(old)
            return
        if holds(new, "Established"):
            self._serve(new)
        else:
            self._withdraw(new["metadata"]["name"])
        self._queue(new["metadata"]["name"])

    def _queue_group(self, gone: Object) -> None:
        """Names that a definition held may now be free for others of its group."""
        for other in self._registry.list(self._kind):
            if other["spec"]["group"] == gone["spec"]["group"] and not holds(
                other, "NamesAccepted"
            ):
                self._queue(other["metadata"]["name"])

    def _serve(self, definition: Object) -> None:
        name = definition["metadata"]["name"]
        versions = [custom_resource(definition, version) for version in served_versions(definition)]
        conversion = definition["spec"].get("conversion") or {}
        converter = None
        if conversion.get("strategy") == "Webhook":
            converter = WebhookConverter(conversion, self._client)
        storage = storage_version(definition)
        kept = {resource.version for resource in versions}
        for former in self._served.get(name, []):
            if former.version not in kept:
                self._catalog.remove(former)
        for resource in versions:
            how = reading(resource, definition, storage, converter)
            self._catalog.add(resource, resource, how)
        self._served[name] = versions

    def _withdraw(self, name: str) -> None:
        for resource in self._served.pop(name, []):
            self._catalog.remove(resource)

    async def _reconcile(self, name: str) -> None:
        definition = self._registry.get(self._kind, name)
        if definition["metadata"].get("deletionTimestamp"):
            await self._clean_up(definition)
            return
        group = definition["spec"]["group"]
        others = [
            other
            for other in self._registry.list(self._kind)
            if other["spec"]["group"] == group and other["metadata"]["name"] != name
        ]

        def settle(current: Object) -> Object | None:
            before = repr(current.get("status"))
            if accept_names(current, others):
                message = "the initial names have been accepted"
                if not holds(current, "Established"):
                    set_condition(current, "Established", "True", "InitialNamesAccepted", message)
            elif not holds(current, "Established"):
                set_condition(
                    current, "Established", "False", "NotAccepted", "not all names are accepted"
                )
            return None if repr(current.get("status")) == before else current

        await self._registry.update(self._kind, "", name, settle, subresource="status", admit=False)

    async def _clean_up(self, definition: Object) -> None:
        """Delete every object of the definition, then let it go."""
        name = definition["metadata"]["name"]
        if FINALIZER not in (definition["metadata"].get("finalizers") or []):
            return
        left = await self._delete_objects(definition)

        def settle(current: Object) -> Object | None:
            reason, message = "InstanceDeletionInProgress", "CustomResource deletion is in progress"
            if not left:
                reason, message = "InstanceDeletionCompleted", "removed all instances"
            set_condition(current, "Terminating", "True" if left else "False", reason, message)
            return current

        await self._registry.update(self._kind, "", name, settle, subresource="status", admit=False)
        if left:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._queue, name)
            return

        def release(current: Object) -> Object | None:
            kept = [
                item for item in current["metadata"].get("finalizers") or [] if item != FINALIZER
            ]
            current["metadata"]["finalizers"] = kept
            return current

        await self._registry.update(self._kind, "", name, release, admit=False)

    async def _delete_objects(self, definition: Object) -> bool:
        """Delete all objects; whether some are left, held by finalizers of their own."""
        served = self._served.get(definition["metadata"]["name"])
        if not served:
            return False
        resource = served[0]
        objects = self._registry.list(resource)
        for start in range(0, len(objects), _DELETED_AT_ONCE):
            batch = objects[start : start + _DELETED_AT_ONCE]
            await asyncio.gather(*(self._delete(resource, item) for item in batch))
        return bool(self._registry.list(resource))

    async def _delete(self, resource: Resource, item: Object) -> None:
        metadata = item["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        try:
            await self._registry.delete(resource, metadata.get("namespace", ""), metadata["name"])
        except (NotFound, Conflict):
            return
