"""ownerReferences: who controls an object, and adopting and releasing by selector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import Invalid, NotFound

#: The index that `controller_index` makes.
CONTROLLER_INDEX = "controller"


def controller_ref(obj: Object) -> Object | None:
    """The ownerReference with `controller: true`, or None."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            found: Object = ref
            return found
    return None


def controller_index(obj: Object) -> Iterable[str]:
    """Indexer: the UID of the controller, or `orphans/<namespace>` when there is none."""
    ref = controller_ref(obj)
    if ref is not None:
        return (ref["uid"],)
    return (orphans(obj["metadata"].get("namespace") or ""),)


def orphans(namespace: str) -> str:
    """The index value of the objects of a namespace that nobody controls."""
    return f"orphans/{namespace}"


def new_controller_ref(owner: Object, api_version: str, kind: str) -> Object:
    """The reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels_of(obj: Object) -> dict[str, str]:
    """The object's labels, an empty dict when it has none."""
    return obj["metadata"].get("labels") or {}


def deleting(obj: Object) -> bool:
    """True when the object has a deletionTimestamp."""
    return bool(obj["metadata"].get("deletionTimestamp"))


class Claimer:
    """Decides which of some objects belong to `owner`, adopting and releasing as upstream does.

    `fresh` reads the owner from the server: adopting on stale knowledge would give a deleted
    controller new dependents.
    """

    def __init__(
        self,
        client: ApiClient,
        owner: Object,
        api_version: str,
        kind: str,
        selector: LabelSelector,
        fresh: Callable[[], Awaitable[Object]],
    ) -> None:
        self._client = client
        self._owner = owner
        self._reference = new_controller_ref(owner, api_version, kind)
        self._selector = selector
        self._fresh = fresh
        self._may_adopt: bool | None = None

    async def claim(
        self,
        gvr: str,
        objects: Iterable[Object],
        accept: Callable[[Object], bool] = lambda _: True,
    ) -> list[Object]:
        """The objects that belong to the owner now; `accept` narrows what may be adopted."""
        return [obj for obj in objects if await self._claims(gvr, obj, accept)]

    async def _claims(self, gvr: str, obj: Object, accept: Callable[[Object], bool]) -> bool:
        ref = controller_ref(obj)
        matches = self._selector.matches(labels_of(obj)) and accept(obj)
        if ref is not None:
            if ref["uid"] != self._owner["metadata"]["uid"]:
                return False
            if matches:
                return True
            if not deleting(self._owner):
                await self._release(gvr, obj)
            return False
        if deleting(self._owner) or deleting(obj) or not matches:
            return False
        return await self._adopt(gvr, obj)

    async def _adopt(self, gvr: str, obj: Object) -> bool:
        if not await self._can_adopt():
            return False
        patch = {"metadata": {"ownerReferences": [self._reference], "uid": obj["metadata"]["uid"]}}
        return await self._patch(gvr, obj, patch)

    async def _can_adopt(self) -> bool:
        if self._may_adopt is None:
            try:
                fresh = await self._fresh()
            except NotFound:
                self._may_adopt = False
            else:
                same = fresh["metadata"]["uid"] == self._owner["metadata"]["uid"]
                self._may_adopt = same and not deleting(fresh)
        return self._may_adopt

    async def _release(self, gvr: str, obj: Object) -> None:
        uid = self._owner["metadata"]["uid"]
        gone = {"$patch": "delete", "uid": uid}
        await self._patch(
            gvr, obj, {"metadata": {"ownerReferences": [gone], "uid": obj["metadata"]["uid"]}}
        )

    async def _patch(self, gvr: str, obj: Object, patch: dict[str, Any]) -> bool:
        meta = obj["metadata"]
        try:
            await self._client.patch(
                gvr, meta["name"], patch, meta.get("namespace"), kind="strategic"
            )
        except (NotFound, Invalid):
            # Gone, replaced by another of the same name, or without this owner already.
            return False
        return True
