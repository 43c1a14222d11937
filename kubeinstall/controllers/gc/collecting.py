"""Decides about one object by its owners: leave it, free it, or delete it, and how."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, resources
from kubeinstall.controllers.common.discovery import Found
from kubeinstall.controllers.gc.graph import FOREGROUND, ORPHAN, Graph, Node
from kubeinstall.errors import Conflict, NotFound, StatusError

_META = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
#: UIDs of owners known to be gone.
ABSENT_CACHE = 500
Lookup = Callable[[str, str], Found | None]


class UnknownKind(StatusError):
    """An owner's kind is not served (yet): nothing may be deleted on that ground."""


class Collector:
    """Acts on nodes; `lookup(apiVersion, kind)` finds the resource of a kind."""

    def __init__(
        self, client: ApiClient, graph: Graph, lookup: Lookup, again: Callable[[str], None]
    ) -> None:
        self._client = client
        self._graph = graph
        self._lookup = lookup
        self._again = again
        self._absent: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def collect(self, uid: str) -> None:
        """Look at one node; failures raise and are retried by the queue."""
        node = self._graph.get(uid)
        if node is None or (node.deleting and not node.foreground):
            return
        latest = await self._read(node)
        if latest is None:
            self._graph.forget(uid)
            return
        if node.virtual:
            # It exists: its informer will soon say more, and until then nothing follows from it.
            return
        if node.foreground:
            await self._finish_foreground(node, latest)
            return
        refs = latest["metadata"].get("ownerReferences") or []
        if not refs:
            return
        solid, dangling, waiting = await self._classify(node, refs)
        if solid:
            gone = {ref["uid"] for ref in (*dangling, *waiting)}
            if gone:
                await self._drop_owners(node, latest, gone)
            return
        if waiting and node.dependents:
            await self._break_cycle(node, latest)
            await self._delete(node, "Foreground")
            return
        await self._delete(node, _policy(latest))

    async def free_dependents(self, uid: str) -> None:
        """Orphan: take the owner out of its dependents, then let it go."""
        node = self._graph.get(uid)
        if node is None:
            return
        for dependent in self._graph.dependents(node):
            latest = await self._read(dependent)
            if latest is not None:
                await self._drop_owners(dependent, latest, {uid})
        await self._drop_finalizer(node, ORPHAN)

    async def _classify(
        self, node: Node, refs: list[Object]
    ) -> tuple[list[Object], list[Object], list[Object]]:
        solid: list[Object] = []
        dangling: list[Object] = []
        waiting: list[Object] = []
        for ref in refs:
            known = self._graph.get(ref["uid"])
            if known is not None and not known.virtual and _names(known, ref, node):
                (waiting if known.foreground else solid).append(ref)
                continue
            owner = await self._read_owner(node, ref)
            if owner is None:
                dangling.append(ref)
            elif _in_foreground(owner):
                waiting.append(ref)
            else:
                solid.append(ref)
        return solid, dangling, waiting

    async def _read_owner(self, node: Node, ref: Object) -> Object | None:
        """The owner as the server has it; None when it is gone or another has its name."""
        absent = (ref["uid"], node.namespace)
        if absent in self._absent:
            self._absent.move_to_end(absent)
            return None
        resource = self._lookup(ref["apiVersion"], ref["kind"])
        if resource is None:
            raise UnknownKind(f"no resource for owner kind {ref['apiVersion']} {ref['kind']}")
        if resource.namespaced and not node.namespace:
            # A cluster-wide object cannot have an owner in a namespace: not ours to judge.
            return {"metadata": {"uid": ref["uid"]}}
        namespace = node.namespace if resource.namespaced else None
        found = await self._get(resource.gvr, ref["name"], namespace)
        if found is None or found["metadata"]["uid"] != ref["uid"]:
            self._absent[absent] = None
            while len(self._absent) > ABSENT_CACHE:
                self._absent.popitem(last=False)
            return None
        return found

    async def _read(self, node: Node) -> Object | None:
        gvr, namespace = node.gvr, node.namespace or None
        if not gvr:
            resource = self._lookup(node.api_version, node.kind)
            if resource is None:
                raise UnknownKind(f"no resource for kind {node.api_version} {node.kind}")
            gvr = resource.gvr
            namespace = namespace if resource.namespaced else None
        found = await self._get(gvr, node.name, namespace)
        return found if found is not None and found["metadata"]["uid"] == node.uid else None

    async def _get(self, gvr: str, name: str, namespace: str | None) -> Object | None:
        try:
            found: Object = await self._client.request(
                "GET", resources.path(gvr, namespace, name), accept=_META
            )
        except NotFound:
            return None
        return found

    async def _delete(self, node: Node, policy: str) -> None:
        try:
            await self._client.delete(
                node.gvr,
                node.name,
                node.namespace or None,
                uid=node.uid,
                propagation_policy=policy,
            )
        except NotFound:
            self._graph.forget(node.uid)
        except Conflict:
            # Another object has the name by now.
            self._graph.forget(node.uid)

    async def _finish_foreground(self, node: Node, latest: Object) -> None:
        blocking = [d for d in self._graph.dependents(node) if d.blocks(node.uid)]
        if not blocking:
            await self._drop_finalizer(node, FOREGROUND, latest)
            return
        for dependent in blocking:
            if not dependent.foreground:
                self._again(dependent.uid)

    async def _break_cycle(self, node: Node, latest: Object) -> None:
        """Owner and dependent that wait for each other: let go of the owner."""
        if not any(dependent.foreground for dependent in self._graph.dependents(node)):
            return
        refs = latest["metadata"].get("ownerReferences") or []
        if not any(ref.get("blockOwnerDeletion") for ref in refs):
            return
        freed = [{**ref, "blockOwnerDeletion": False} for ref in refs]
        await self._patch(node, latest, {"ownerReferences": freed})

    async def _drop_owners(self, node: Node, latest: Object, uids: set[str]) -> None:
        refs = latest["metadata"].get("ownerReferences") or []
        kept = [ref for ref in refs if ref["uid"] not in uids]
        if len(kept) != len(refs):
            await self._patch(node, latest, {"ownerReferences": kept or None})

    async def _drop_finalizer(
        self, node: Node, finalizer: str, latest: Object | None = None
    ) -> None:
        latest = latest or await self._read(node)
        if latest is None:
            return
        finalizers = latest["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            kept = [name for name in finalizers if name != finalizer]
            await self._patch(node, latest, {"finalizers": kept or None})

    async def _patch(self, node: Node, latest: Object, meta: Object) -> None:
        """A merge patch: custom resources know no other. Guarded by version, for it replaces lists."""
        guarded = {**meta, "resourceVersion": latest["metadata"]["resourceVersion"]}
        try:
            await self._client.patch(
                node.gvr, node.name, {"metadata": guarded}, node.namespace or None
            )
        except NotFound:
            return


def _names(owner: Node, ref: Object, node: Node) -> bool:
    """The reference means this very owner: name and place agree, not just the UID."""
    return owner.name == ref["name"] and owner.namespace in {"", node.namespace}


def _in_foreground(obj: Object) -> bool:
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and FOREGROUND in (meta.get("finalizers") or ())


def _policy(obj: Object) -> str:
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"
