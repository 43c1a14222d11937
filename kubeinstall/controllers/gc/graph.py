"""The graph of owners and dependents, fed by one informer a resource type.

A node is *virtual* while it is known only from others' ownerReferences; the collector then asks the
server whether it exists. Everything here is plain bookkeeping on the event loop; work for the
collector is handed out through two callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.types import Object

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(slots=True, eq=False)
class Node:
    """One object: who it is, its ownerReferences and the nodes that refer to it."""

    uid: str
    api_version: str
    kind: str
    namespace: str
    name: str
    gvr: str = ""
    owners: tuple[Object, ...] = ()
    dependents: set[str] = field(default_factory=set)
    virtual: bool = False
    deleting: bool = False
    #: In foreground deletion: waits for its blocking dependents.
    foreground: bool = False

    def blocks(self, owner: str) -> bool:
        """True when this object holds up the foreground deletion of `owner`."""
        return any(r["uid"] == owner and r.get("blockOwnerDeletion") for r in self.owners)


class Graph:
    """Nodes by UID. `delete(uid)` asks to look at a node, `orphan(uid)` to free its dependents."""

    def __init__(self, delete: Callable[[str], None], orphan: Callable[[str], None]) -> None:
        self._nodes: dict[str, Node] = {}
        self._delete = delete
        self._orphan = orphan

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        """The node, or None."""
        return self._nodes.get(uid)

    def dependents(self, node: Node) -> list[Node]:
        """The known objects that refer to this one."""
        return [found for uid in node.dependents if (found := self._nodes.get(uid)) is not None]

    def observe(self, gvr: str, api_version: str, kind: str, obj: Object) -> None:
        """An object was added or changed; metadata-only objects do not say of which kind they are."""
        meta = obj["metadata"]
        uid = meta["uid"]
        node = self._nodes.get(uid)
        if node is None:
            node = self._nodes[uid] = _node(obj, gvr, api_version, kind)
            self._change_owners(node, (), node.owners)
        else:
            before = node.owners
            if node.virtual:
                # What the reference said about it may have been wrong: the object itself counts.
                node.virtual = False
                node.api_version = api_version
                node.kind = kind
                node.namespace = meta.get("namespace") or ""
                node.name = meta["name"]
            node.gvr = gvr
            node.owners = tuple(_owner(r) for r in meta.get("ownerReferences") or ())
            if node.owners != before:
                self._change_owners(node, before, node.owners)
        self._note_deletion(node, meta)

    def forget(self, uid: str) -> None:
        """An object was deleted, or a virtual node turned out not to exist."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return
        for ref in node.owners:
            owner = self._nodes.get(ref["uid"])
            if owner is None:
                continue
            owner.dependents.discard(uid)
            if owner.foreground:
                self._delete(owner.uid)
            if owner.virtual and not owner.dependents:
                del self._nodes[owner.uid]
        for dependent in self.dependents(node):
            self._delete(dependent.uid)

    def forget_type(self, gvr: str) -> None:
        """A resource type is gone, and its objects with it."""
        for uid in [uid for uid, node in self._nodes.items() if node.gvr == gvr]:
            self.forget(uid)

    def _change_owners(
        self, node: Node, before: tuple[Object, ...], after: tuple[Object, ...]
    ) -> None:
        kept = {ref["uid"] for ref in after}
        for ref in before:
            owner = self._nodes.get(ref["uid"])
            if owner is None:
                continue
            if ref["uid"] not in kept:
                owner.dependents.discard(node.uid)
            if owner.foreground and not node.blocks(owner.uid):
                self._delete(owner.uid)
        for ref in after:
            self._link(node, ref)
        if before and any(ref["uid"] not in kept for ref in before):
            self._delete(node.uid)

    def _link(self, node: Node, ref: Object) -> None:
        uid = ref["uid"]
        owner = self._nodes.get(uid)
        if owner is None:
            owner = self._nodes[uid] = Node(
                uid=uid,
                api_version=ref["apiVersion"],
                kind=ref["kind"],
                namespace=node.namespace,
                name=ref["name"],
                virtual=True,
            )
            self._delete(uid)
        elif not owner.virtual and _mismatch(owner, ref, node):
            # The reference names somebody else by this UID: the collector must ask.
            self._delete(node.uid)
        owner.dependents.add(node.uid)
        if owner.foreground:
            self._delete(node.uid)

    def _note_deletion(self, node: Node, meta: dict[str, Any]) -> None:
        if not meta.get("deletionTimestamp"):
            return
        finalizers = meta.get("finalizers") or ()
        node.deleting = True
        if ORPHAN in finalizers:
            self._orphan(node.uid)
        elif FOREGROUND in finalizers and not node.foreground:
            node.foreground = True
            for dependent in self.dependents(node):
                self._delete(dependent.uid)
            self._delete(node.uid)


def _node(obj: Object, gvr: str, api_version: str, kind: str) -> Node:
    meta = obj["metadata"]
    return Node(
        uid=meta["uid"],
        api_version=api_version,
        kind=kind,
        namespace=meta.get("namespace") or "",
        name=meta["name"],
        gvr=gvr,
        owners=tuple(_owner(ref) for ref in meta.get("ownerReferences") or ()),
    )


def _owner(ref: Object) -> Object:
    return {
        name: ref[name]
        for name in ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
        if name in ref
    }


def _mismatch(owner: Node, ref: Object, node: Node) -> bool:
    group = owner.api_version.rpartition("/")[0]
    named = str(ref["apiVersion"]).rpartition("/")[0]
    elsewhere = bool(owner.namespace) and owner.namespace != node.namespace
    return (owner.name, owner.kind, group) != (ref["name"], ref["kind"], named) or elsewhere
