"""A registry that keeps objects in a dict: what policy code sees, without a server."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Sequence
from typing import Any

from kubeinstall.api import resources
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.registry import Mutate, Observer
from kubeinstall.apiserver.request import CREATE, AdmissionAttributes, User
from kubeinstall.errors import (
    AlreadyExists,
    Conflict,
    KeyConflict,
    KeyExists,
    NotFound,
    StoreError,
)
from kubeinstall.storage.store import KeyValue, Page


class MemoryStore:
    """The part of `storage.store.Store` that reads and writes; `fail` makes every call fail."""

    def __init__(self) -> None:
        self.items: dict[str, KeyValue] = {}
        self.fail = False
        self._revision = itertools.count(1)

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        self._check()
        return self.items.get(key)

    async def scan(
        self, prefix: str, *, revision: int = 0, limit: int = 0, start: str = ""
    ) -> Page:
        self._check()
        found = [item for key, item in sorted(self.items.items()) if key.startswith(prefix)]
        return Page(found, 0, more=False, remaining=0)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        self._check()
        await asyncio.sleep(0)
        if key in self.items:
            raise KeyExists(key)
        revision = next(self._revision)
        self.items[key] = KeyValue(key, value, revision, revision)
        return revision

    async def update(self, key: str, value: bytes, *, expected: int, ttl: int = 0) -> int:
        self._guard(key, expected)
        revision = next(self._revision)
        self.items[key] = KeyValue(key, value, self.items[key].create_revision, revision)
        return revision

    async def delete(self, key: str, *, expected: int) -> int:
        self._guard(key, expected)
        del self.items[key]
        return next(self._revision)

    def _guard(self, key: str, expected: int) -> None:
        self._check()
        if key not in self.items or self.items[key].mod_revision != expected:
            raise KeyConflict(key)

    def _check(self) -> None:
        if self.fail:
            raise StoreError("the datastore does not answer")


class MemoryRegistry:
    """See `apiserver.registry.Registry`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}
        self.observers: dict[tuple[str, str], list[Observer]] = {}
        self.admitted: list[AdmissionAttributes] = []
        self._revision = itertools.count(1)

    def put(self, plural: str, obj: Object, group: str = "") -> Object:
        """Store without ado; for the arrangement of a test."""
        return self._store(kind(plural, group), copy.deepcopy(obj))

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        found = self._of(resource).get((namespace, name))
        if found is None:
            raise NotFound.for_object(resource.group, resource.name, name)
        return copy.deepcopy(found)

    async def get_live(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return self.get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str = "", selector: str = "") -> list[Object]:
        return [
            copy.deepcopy(obj)
            for (home, _), obj in self._of(resource).items()
            if namespace in ("", home)
        ]

    async def create(
        self,
        resource: Resource,
        obj: Object,
        user: User | None = None,
        *,
        dry_run: bool = False,
        manager: str = "",
    ) -> Object:
        metadata = obj["metadata"]
        if (metadata.get("namespace", ""), metadata["name"]) in self._of(resource):
            raise AlreadyExists.for_object(resource.group, resource.name, metadata["name"])
        return obj if dry_run else self._store(resource, copy.deepcopy(obj))

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
        current = self.get(resource, name, namespace)
        changed = mutate(current)
        if changed is None or dry_run:
            return current
        return self._store(resource, changed)

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
        metadata = config["metadata"]
        current = self.get(resource, metadata["name"], metadata.get("namespace", ""))
        rest = {key: value for key, value in config.items() if key != "metadata"}
        return self._store(resource, {**current, **copy.deepcopy(rest)})

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
        current = self.get(resource, name, namespace)
        wanted = ((options or {}).get("preconditions") or {}).get("uid")
        if wanted and wanted != current["metadata"].get("uid"):
            raise Conflict("uid")
        if not dry_run:
            del self._of(resource)[(namespace, name)]
            self._tell(resource, current, None)
        return current

    def observe(self, resource: Resource, callback: Observer) -> None:
        self.observers.setdefault((resource.group, resource.name), []).append(callback)
        for obj in self._of(resource).values():
            callback(None, obj)

    def find_kind(self, group: str, version: str, kind: str) -> Resource | None:
        return resources.find_kind(group, version, kind)

    def versions(self, resource: Resource) -> Sequence[Served]:
        return [Served(resource, resource, b"", b"", same=True)]

    async def admit(self, attributes: AdmissionAttributes) -> None:
        self.admitted.append(attributes)

    def _of(self, resource: Resource) -> dict[tuple[str, str], Object]:
        return self.objects.setdefault((resource.group, resource.name), {})

    def _store(self, resource: Resource, obj: Object) -> Object:
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        old = self._of(resource).get(key)
        revision = str(next(self._revision))
        metadata.setdefault("uid", f"uid-{revision}")
        metadata["resourceVersion"] = revision
        self._of(resource)[key] = obj
        self._tell(resource, old, obj)
        return copy.deepcopy(obj)

    def _tell(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        for callback in self.observers.get((resource.group, resource.name), []):
            callback(old, new)


def write(
    plural: str,
    obj: Object,
    *,
    group: str = "",
    namespace: str = "ns",
    operation: str = CREATE,
    old: Object | None = None,
    user: User | None = None,
    subresource: str = "",
    **fields: Any,
) -> AdmissionAttributes:
    """A write on its way through admission."""
    return AdmissionAttributes(
        resource=kind(plural, group),
        operation=operation,
        object=obj,
        old=old,
        user=user or User("someone"),
        name=obj["metadata"].get("name", ""),
        namespace=namespace,
        subresource=subresource,
        **fields,
    )


def pod(name: str = "p", namespace: str = "ns", **spec: Any) -> Object:
    """A small pod."""
    spec.setdefault("containers", [{"name": "c", "image": "i"}])
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
