"""In-process access to the API's objects: what admission, authentication, authorization, hooks
and subresources use instead of calling the server over the network.

Reads come from the watch cache, which shows a caller's own writes at once. Writes take the whole path
of a request (defaults, strategy, admission, validation, hooks, store) in the name of `user`, by default
the server's own identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import AdmissionAttributes, User

if TYPE_CHECKING:
    from kubeinstall.apiserver.catalog import Served

Objects = list[Object]
Mutate = Callable[[Object], Object | None]
Observer = Callable[[Object | None, Object | None], None]


class Registry(Protocol):
    """Objects of every resource, addressed by `api.resources.Resource` (any served version)."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """A private copy of the object as the watch cache has it, `metadata.resourceVersion`,
        `apiVersion` and `kind` included. Raises `NotFound`."""
        ...

    async def get_live(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """As `get`, but as new as the store: for checks that must see a write just acknowledged."""
        ...

    def list(self, resource: Resource, namespace: str = "", selector: str = "") -> Objects:
        """Private copies of all objects, optionally of one namespace and label selector."""
        ...

    async def create(
        self,
        resource: Resource,
        obj: Object,
        user: User | None = None,
        *,
        dry_run: bool = False,
        manager: str = "",
    ) -> Object:
        """Create and return as stored. Raises what a POST would answer (`AlreadyExists`, …).
        `manager` is whom managedFields shall name; by default the server ("kube-apiserver")."""
        ...

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
        """Guaranteed update: `mutate` gets a private copy of the newest object and returns what it
        shall become (None: leave it); called again after every conflict. It may raise to abort.
        `subresource` chooses the strategy ("status", …). `admit=False` skips admission plug-ins,
        for writes that upstream does below them (binding, eviction's budget, token secrets)."""
        ...

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
        """Server-side apply of `config` (kind, apiVersion, metadata.name and what it sets), which
        creates the object where there is none."""
        ...

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
        """Delete as a DELETE request would, grace and finalizers included; `options` is a
        DeleteOptions object. Returns the object as deleted or as marked for deletion."""
        ...

    def observe(self, resource: Resource, callback: Observer) -> None:
        """Call `callback(old, new)` for every current object (old None) at once, then for every
        change, synchronously and in order; `new` is None on deletion. The objects are shared
        between observers: do not change them. Must not block or raise."""
        ...

    def find_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource of a kind that is served, custom ones included."""
        ...

    def versions(self, resource: Resource) -> Sequence[Served]:
        """How the objects of `resource` are served: every version of every group, the resource's
        own first."""
        ...

    async def admit(self, attributes: AdmissionAttributes) -> None:
        """Run mutating, then validating admission; raises what a plug-in refuses with."""
        ...
