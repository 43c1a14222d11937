"""Makes the ReplicaSet of a new template, numbers revisions, and forgets old ones."""

from __future__ import annotations

import copy

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions, hashing, owners
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.deployment import facts
from kubeinstall.controllers.deployment.work import REPLICA_SETS, Work
from kubeinstall.errors import AlreadyExists, NotFound, StatusError

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        facts.REVISION,
        facts.REVISION_HISTORY,
        facts.DESIRED,
        facts.MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)
_HISTORY_LIMIT = 2000


async def sync_revision(work: Work, *, create: bool) -> Object | None:
    """The new ReplicaSet with current annotations; made when there is none and `create`."""
    new = work.new_set()
    if new is None and not create:
        return None
    revision = max((facts.revision(rs) for rs in work.old_sets()), default=0) + 1
    if new is None:
        return await _create(work, revision)
    updated = _with_annotations(work.deployment, new, revision)
    wait = work.deployment["spec"].get("minReadySeconds") or 0
    if updated is not new or (new["spec"].get("minReadySeconds") or 0) != wait:
        updated = {**updated, "spec": {**updated["spec"], "minReadySeconds": wait}}
        new = await work.client.update(REPLICA_SETS, updated)
        work.replace(new)
    await work.write_revision(facts.notes(new).get(facts.REVISION) or str(revision))
    status = work.deployment.get("status") or {}
    known = conditions.find(status.get("conditions"), "Progressing")
    if known is None and facts.has_deadline(work.deployment):
        message = f'Found new replica set "{new["metadata"]["name"]}"'
        await _set_progressing(work, "True", "FoundNewReplicaSet", message)
    return new


def _with_annotations(deployment: Object, rs: Object, revision: int) -> Object:
    """The ReplicaSet with the Deployment's annotations and its revision; itself when they are right."""
    old = facts.notes(rs)
    copied = {k: v for k, v in facts.notes(deployment).items() if k not in _NOT_COPIED}
    new = {**old, **copied}
    before = facts.revision(rs)
    if before < revision:
        new[facts.REVISION] = str(revision)
        if old.get(facts.REVISION):
            # The template of an earlier revision is in use again: remember the numbers it had.
            history = [h for h in (old.get(facts.REVISION_HISTORY) or "").split(",") if h]
            if old[facts.REVISION] not in history:
                history.append(old[facts.REVISION])
            while len(",".join(history)) > _HISTORY_LIMIT:
                history.pop(0)
            new[facts.REVISION_HISTORY] = ",".join(history)
    if new == old:
        return rs
    return {**rs, "metadata": {**rs["metadata"], "annotations": new}}


def new_replicas(work: Work, current: int) -> int:
    """How many pods the new ReplicaSet, now at `current`, may ask for."""
    wanted = facts.replicas(work.deployment)
    if not facts.is_rolling(work.deployment):
        return wanted
    room = wanted + facts.max_surge(work.deployment) - facts.total(work.sets)
    return current if room <= 0 else current + min(room, wanted - current)


def _build(work: Work, revision: int) -> Object:
    deployment = work.deployment
    meta, spec = deployment["metadata"], deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount")
    template = copy.deepcopy(spec["template"])
    digest = hashing.compute(template, collisions)
    template_meta = template.setdefault("metadata", {})
    labels = {**(template_meta.get("labels") or {}), facts.HASH_LABEL: digest}
    template_meta["labels"] = labels
    selector = copy.deepcopy(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), facts.HASH_LABEL: digest}
    size = new_replicas(work, 0)
    wanted = facts.replicas(deployment)
    notes = {k: v for k, v in facts.notes(deployment).items() if k not in _NOT_COPIED}
    notes[facts.REVISION] = str(revision)
    notes[facts.DESIRED] = str(wanted)
    notes[facts.MAXIMUM] = str(wanted + facts.max_surge(deployment))
    made = {"replicas": size, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": dict(labels),
            "annotations": notes,
            "ownerReferences": [owners.new_controller_ref(deployment, "apps/v1", "Deployment")],
        },
        "spec": made,
    }


async def _create(work: Work, revision: int) -> Object | None:
    wanted = _build(work, revision)
    name = wanted["metadata"]["name"]
    existed = False
    try:
        made = await work.client.create(REPLICA_SETS, wanted)
    except AlreadyExists:
        made = await _existing(work, wanted)
        existed = True
    except StatusError as error:
        if not namespace_terminating(error):
            await _creation_failed(work, name, error)
        raise
    work.replace(made)
    size = facts.replicas(made)
    if not existed and size > 0:
        message = f"Scaled up replica set {name} from 0 to {size}"
        work.events.event(work.deployment, "Normal", "ScalingReplicaSet", message)
    await work.write_revision(str(revision))
    if not existed and facts.has_deadline(work.deployment):
        message = f'Created new replica set "{name}"'
        await _set_progressing(work, "True", "NewReplicaSetCreated", message)
    return made


async def _existing(work: Work, wanted: Object) -> Object:
    """The ReplicaSet that has our name: ours after all, or a hash collision, which is counted."""
    meta = wanted["metadata"]
    found = await work.client.get(REPLICA_SETS, meta["name"], meta["namespace"])
    ref = owners.controller_ref(found)
    ours = ref is not None and ref["uid"] == work.deployment["metadata"]["uid"]
    if ours and facts.same_template(
        found["spec"].get("template") or {}, work.deployment["spec"]["template"]
    ):
        return found
    status = work.deployment.get("status") or {}
    await work.write_status({**status, "collisionCount": (status.get("collisionCount") or 0) + 1})
    raise AlreadyExists.for_object("apps", "replicasets", meta["name"])


async def _creation_failed(work: Work, name: str, error: StatusError) -> None:
    message = f'Failed to create new replica set "{name}": {error.message}'
    if facts.has_deadline(work.deployment):
        await _set_progressing(work, "False", "ReplicaSetCreateError", message)
    work.events.event(work.deployment, "Warning", "ReplicaSetCreateError", message)


async def _set_progressing(work: Work, status: str, reason: str, message: str) -> None:
    current = work.deployment.get("status") or {}
    new = conditions.make("Progressing", status, reason, message, updated=True)
    listed = conditions.set_condition(current.get("conditions") or [], new)
    if listed is not current.get("conditions"):
        await work.write_status({**current, "conditions": listed})


async def clean_up(work: Work) -> None:
    """Delete the oldest empty ReplicaSets beyond `revisionHistoryLimit`."""
    limit = work.deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == facts.UNLIMITED:
        return
    kept = [rs for rs in work.old_sets() if not owners.deleting(rs)]
    surplus = len(kept) - limit
    if surplus <= 0:
        return
    for rs in sorted(kept, key=facts.revision)[:surplus]:
        observed = (rs.get("status") or {}).get("observedGeneration") or 0
        unseen = (rs["metadata"].get("generation") or 0) > observed
        if facts.status_count(rs, "replicas") or facts.replicas(rs) or unseen:
            continue
        meta = rs["metadata"]
        try:
            await work.client.delete(REPLICA_SETS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            continue
