"""ControllerRevisions: the history of templates of DaemonSets and StatefulSets."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.controllers.common import hashing, owners
from kubeinstall.errors import AlreadyExists, NotFound

REVISIONS = "apps/v1/controllerrevisions"


def data_of(owner: Object) -> Object:
    """What a revision stores: a patch that puts this template back, as `kubectl rollout undo` uses it."""
    template = {**copy.deepcopy(owner["spec"]["template"]), "$patch": "replace"}
    return {"spec": {"template": template}}


def template_of(revision: Object) -> Object:
    """The template that a revision stores."""
    template = copy.deepcopy(((revision.get("data") or {}).get("spec") or {}).get("template") or {})
    template.pop("$patch", None)
    found: Object = template
    return found


def ordered(revisions: Iterable[Object]) -> list[Object]:
    """By revision number, then age, then name; the newest last."""
    return sorted(
        revisions,
        key=lambda r: (
            r.get("revision") or 0,
            r["metadata"].get("creationTimestamp") or "",
            r["metadata"]["name"],
        ),
    )


def next_number(revisions: list[Object]) -> int:
    """One above the highest."""
    return max((int(r.get("revision") or 0) for r in revisions), default=0) + 1


class Collision(AlreadyExists):
    """The name of a new revision is taken by one with other data: count it and try again."""


async def create(
    client: ApiClient,
    owner: Object,
    kind: str,
    number: int,
    hash_label: str,
    annotations: dict[str, str],
) -> Object:
    """Store the owner's template as a revision; the one already there when it says the same.

    Raises Collision when the name is taken by other data.
    """
    meta = owner["metadata"]
    data = data_of(owner)
    collisions = (owner.get("status") or {}).get("collisionCount")
    digest = hashing.compute(data, collisions)
    labels = ((owner["spec"]["template"].get("metadata") or {}).get("labels")) or {}
    made_meta: Object = {
        "name": f"{meta['name']}-{digest}",
        "namespace": meta["namespace"],
        "labels": {**labels, hash_label: digest},
        "ownerReferences": [owners.new_controller_ref(owner, "apps/v1", kind)],
    }
    if annotations:
        made_meta["annotations"] = annotations
    made = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": made_meta,
        "data": data,
        "revision": number,
    }
    try:
        return await client.create(REVISIONS, made)
    except AlreadyExists as error:
        found = await client.get(REVISIONS, made_meta["name"], meta["namespace"])
        if found.get("data") == data:
            return found
        raise Collision(error.message, details=error.details) from error


async def renumber(client: ApiClient, revision: Object, number: int) -> Object:
    """Make an old revision the newest again: its template is back in use."""
    if revision.get("revision") == number:
        return revision
    return await client.update(REVISIONS, {**revision, "revision": number})


async def truncate(
    client: ApiClient, revisions: list[Object], used: set[str], limit: int | None
) -> None:
    """Delete the oldest revisions that no pod uses, down to `limit`."""
    unused = [r for r in ordered(revisions) if r["metadata"]["name"] not in used]
    surplus = len(unused) - (10 if limit is None else limit)
    for revision in unused[: max(0, surplus)]:
        meta = revision["metadata"]
        try:
            await client.delete(REVISIONS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            continue
