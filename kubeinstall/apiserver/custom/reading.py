"""Stored custom objects as a served version shows them: converted, pruned and defaulted when they are read.

An object may have been stored in another version, or before a default was added to the schema. What
an object becomes is remembered with it (`CachedObject.forms`), so the work is done once a revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from kubeinstall.api import codec
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Stored
from kubeinstall.apiserver.custom.conversion import WebhookConverter
from kubeinstall.storage.cache import CachedObject
from kubeinstall.storage.cache.objects import splice


class Reading:
    """Reads and writes objects of one served version.

    `storage` is the version that objects are written in, "" where there is only one; `oldest` the one
    that those without a mark have.
    """

    def __init__(
        self, resource: Resource, storage: str, oldest: str, converter: WebhookConverter | None
    ) -> None:
        self._resource = resource
        self._storage = storage
        self._oldest = oldest
        self._converter = converter

    @property
    def at_once(self) -> bool:
        """Whether nobody has to be asked: `local` does for every object."""
        return self._converter is None

    def known(self, item: CachedObject) -> bytes | None:
        """The object's encoding in this version, if that is known already or needs no webhook."""
        found = item.forms.get(self) if item.forms else None
        if found is None and (self._converter is None or self._is_own(item.version)):
            found = self._keep(item, item.object())
        return found

    async def read(self, items: Sequence[CachedObject]) -> list[bytes]:
        """The encodings of many. Raises `StatusError` when the webhook fails."""
        found = [self.known(item) for item in items]
        missing = [item for item, data in zip(items, found, strict=True) if data is None]
        if missing and self._converter is not None:
            named = [self._named(item.object(), item.version or self._oldest) for item in missing]
            converted = await self._converter.convert(named, self._resource.api_version)
            for item, obj in zip(missing, converted, strict=True):
                self._keep(item, _without_names(obj))
        return [cast("bytes", self.known(item)) for item in items]

    async def encode(self, obj: Object) -> Stored:
        """For the store. Raises `StatusError` when the webhook fails."""
        if self._converter is not None and not self._is_own(self._storage):
            named = self._named(obj, self._resource.version)
            wanted = f"{self._resource.group}/{self._storage}"
            (obj,) = await self._converter.convert([named], wanted)
        body = codec.encode_body(obj)
        mark = b"\n" + self._storage.encode() if self._storage else b""
        return Stored(body, body + mark)

    async def after(self, stored: Stored, revision: int) -> bytes:
        """What was just stored, read again."""
        item = CachedObject("", stored.value, revision, revision, _no_fields)
        (data,) = await self.read([item])
        return data

    def stale(self, item: CachedObject) -> bool:
        """Whether an object is stored in a version that is no longer the one to store in."""
        return bool(self._storage) and (item.version or self._oldest) != self._storage

    def _is_own(self, version: str) -> bool:
        return (version or self._oldest) == self._resource.version

    def _named(self, obj: Object, version: str) -> Object:
        resource = self._resource
        names = {"kind": resource.kind, "apiVersion": f"{resource.group}/{version}"}
        return {**names, **_without_names(obj)}

    def _keep(self, item: CachedObject, obj: Object) -> bytes:
        custom = self._resource.custom
        if custom is not None:
            custom.prune(obj)
            custom.default(obj)
        data = splice(codec.encode_body(obj), item.revision)
        if data == item.data:
            data = item.data  # the same bytes once, not twice
        item.remember(self, data)
        return data


def _without_names(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _no_fields(_obj: Object) -> dict[str, str]:
    return {}


def reading(
    resource: Resource, definition: Object, storage: str, converter: WebhookConverter | None
) -> Reading | None:
    """How objects of a served version are read; None where stored bytes are always right."""
    several = len(definition["spec"]["versions"]) > 1
    custom = resource.custom
    unchanged = definition["metadata"].get("generation", 1) == 1
    if not several and unchanged and custom is not None and not custom.has_defaults:
        return None
    stored = (definition.get("status") or {}).get("storedVersions") or [storage]
    return Reading(resource, storage if several else "", stored[0], converter)
