"""What is served: each resource with the place where its objects are kept.

Built-in resources are here from the start; custom ones come and go with `add` and `remove`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kubeinstall.api import resources
from kubeinstall.api.discovery import Discovery, External, Priority
from kubeinstall.api.resources import Resource
from kubeinstall.api.selectors import selectable_fields
from kubeinstall.api.types import Object
from kubeinstall.storage.cache import Cacher, ResourceCache

if TYPE_CHECKING:
    from kubeinstall.api.openapi import ExternalOpenAPI, OpenAPI
    from kubeinstall.apiserver.custom.reading import Reading


#: (group, plural) of custom resources → the fields that any served version lets readers select by. The
#: watch cache takes them out of an object when a reader first asks, which is after its definition is known.
_SELECTABLE: dict[tuple[str, str], tuple[str, ...]] = {}


class Stored(NamedTuple):
    """An encoded object: `body` as readers splice it, `value` as the store keeps it, with its version."""

    body: bytes
    value: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A served version of a resource, and its storage.

    `head` opens an object of it on the wire (`{"kind":"Pod","apiVersion":"v1",`): the cached bytes
    without their first one follow. `same` says that no conversion stands between store and wire.
    """

    resource: Resource
    storage: Resource
    head: bytes
    list_head: bytes
    same: bool
    #: How objects of a custom resource are read; None where stored bytes are as they are shown.
    reading: Reading | None = None

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept at all."""
        return self.resource.stored


class Catalog:
    """Finds what a path names."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Served] = {}
        self._groups: dict[tuple[str, str], int] = {}
        self._discovery: Discovery | None = None
        self._openapi: OpenAPI | None = None
        self._others: dict[Served, list[Served]] = {}
        #: What other servers serve, by group and version, and priorities that are not the usual ones.
        #: After a change call `forget_documents`.
        self.external: dict[tuple[str, str], External] = {}
        self.external_openapi: dict[tuple[str, str], ExternalOpenAPI] = {}
        self.priorities: dict[tuple[str, str], Priority] = {}
        for resource in resources.builtin():
            self.add(resource, resources.find_storage(resource))

    def add(self, resource: Resource, storage: Resource, reading: Reading | None = None) -> None:
        """Begin to serve a resource (again).

        Of a custom resource `storage` is the resource itself: writes are prepared, admitted and validated in
        the version of the request, and `reading` makes of them what is stored.
        """
        key = (resource.group, resource.version, resource.name)
        self._discovery = self._openapi = None
        self._others.clear()
        if key not in self._served:
            self._groups[key[:2]] = self._groups.get(key[:2], 0) + 1
        names = f'"kind":"{{}}","apiVersion":"{resource.api_version}",'
        self._served[key] = Served(
            resource,
            storage,
            ("{" + names.format(resource.kind)).encode(),
            ("{" + names.format(resource.list_kind)).encode(),
            # Where versions of a custom resource differ in more than their apiVersion, `reading` sees to it.
            not resource.builtin
            or (resource.group, resource.version) == (storage.group, storage.version),
            reading,
        )
        if resource.custom is not None:
            place = (resource.group, resource.name)
            known = (*_SELECTABLE.get(place, ()), *resource.custom.selectable)
            _SELECTABLE[place] = tuple(dict.fromkeys(known))

    def remove(self, resource: Resource) -> None:
        """Cease to serve a resource."""
        key = (resource.group, resource.version, resource.name)
        self._discovery = self._openapi = None
        self._others.clear()
        if self._served.pop(key, None) is not None:
            self._groups[key[:2]] -= 1

    def forget_documents(self) -> None:
        """Make discovery and OpenAPI anew when they are asked for next."""
        self._discovery = self._openapi = None

    @property
    def discovery(self) -> Discovery:
        """The discovery documents of what is served now."""
        if self._discovery is None:
            extra = [one.resource for one in self._served.values() if not one.resource.builtin]
            self._discovery = Discovery(extra, self.external, self.priorities)
        return self._discovery

    @property
    def openapi(self) -> OpenAPI:
        """The OpenAPI documents of what is served now."""
        if self._openapi is None:
            from kubeinstall.api.openapi import CustomType, OpenAPI

            self._openapi = OpenAPI(
                (
                    CustomType(one.resource, one.resource.custom.schema)
                    for one in self._served.values()
                    if one.resource.custom is not None
                ),
                self.external_openapi.values(),
            )
        return self._openapi

    def find(self, group: str, version: str, name: str) -> Served | None:
        """The resource of a path, or None."""
        return self._served.get((group, version, name))

    def of(self, resource: Resource) -> Served:
        """How `resource` is served. Raises `KeyError` for one that is not."""
        return self._served[resource.group, resource.version, resource.name]

    def others(self, served: Served) -> list[Served]:
        """The other versions, in whatever group, that show the same objects."""
        found = self._others.get(served)
        if found is None:
            storage = (served.storage.group, served.storage.name)
            found = self._others[served] = [
                one
                for one in self._served.values()
                if one is not served
                and one.stored
                and (one.storage.group, one.storage.name) == storage
            ]
        return found

    def has_version(self, group: str, version: str) -> bool:
        """Whether anything is served under this group and version."""
        return self._groups.get((group, version), 0) > 0

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())


def cache_of(cacher: Cacher, served: Served) -> ResourceCache:
    """The watch cache that holds the objects of `served`."""
    return cacher.resource(served.storage.group, served.storage.name)


def fields_for(group: str, plural: str) -> Callable[[Object], dict[str, str]]:
    """How the watch cache takes selectable fields out of stored objects of a resource."""
    kind = ""
    for resource in resources.builtin():
        if resource.group == group and resource.name == plural:
            kind = resource.kind
            break

    def fields(obj: Object) -> dict[str, str]:
        return selectable_fields(group, kind, obj, _SELECTABLE.get((group, plural), ()))

    return fields
