"""Delete: grace periods, finalizers and dependents, as `registry.Store.Delete` of upstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from kubeinstall.api import codec
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver import params
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.engine import rules, storing
from kubeinstall.apiserver.engine.create import timestamp
from kubeinstall.apiserver.engine.engine import Engine, Result, Write, key_of
from kubeinstall.apiserver.request import DELETE, AdmissionAttributes
from kubeinstall.errors import Conflict, KeyConflict
from kubeinstall.storage.cache import CachedObject
from kubeinstall.storage.cache.objects import splice

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_FINISHED_PHASES = ("Failed", "Succeeded")
_ATTEMPTS = 100


class Deleted(NamedTuple):
    """What a delete did: the object as it ended, or as it waits for its end (`gone` False)."""

    result: Result
    gone: bool


async def delete(
    engine: Engine, served: Served, namespace: str, name: str, options: Object, write: Write
) -> Deleted:
    """Delete an object, or mark it as being deleted.

    `options` is a DeleteOptions object. Raises `NotFound`, `Conflict` (preconditions), `Invalid`
    (options), and what admission refuses with.
    """
    params.check_delete_options(options)
    key = key_of(served, namespace, name)
    await engine.cacher.fresh()
    for _ in range(_ATTEMPTS):
        item = engine.cache(served).get(key)
        if item is None:
            raise engine.missing(served, key)
        try:
            return await _delete_once(engine, served, item, options, write)
        except KeyConflict:
            await engine.cacher.fresh()
    why = "the object has been modified; please apply your changes to the latest version"
    raise Conflict.for_object(served.resource.group, served.resource.name, name, why)


async def _delete_once(
    engine: Engine, served: Served, item: CachedObject, options: Object, write: Write
) -> Deleted:
    shown = await storing.current(served, item)
    old = shown.object()
    _check_preconditions(served.resource, options, old["metadata"])
    await _admit(engine, served, old, options, write)
    if served.storage.kind == "Namespace":
        marked = _mark_namespace(served.storage, shown.object(), options)
    else:
        marked = _mark(served.storage, shown.object(), options)
    if marked is None:
        return Deleted(shown, gone=False)
    if marked.gone:
        return await _remove(engine, served, item, marked.object, write)
    return await _store(engine, served, item, marked.object, write)


async def _admit(
    engine: Engine, served: Served, old: Object, options: Object, write: Write
) -> None:
    metadata = old["metadata"]
    attributes = AdmissionAttributes(
        resource=served.storage,
        operation=DELETE,
        object=None,
        old=old,
        user=write.user,
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        dry_run=write.dry_run,
        options=options,
        warnings=write.warnings,
        requested=served.resource,
    )
    await engine.mutate(write, attributes)
    await engine.admit(write, attributes)


def _check_preconditions(resource: Resource, options: Object, metadata: dict[str, Any]) -> None:
    wanted = options.get("preconditions") or {}
    name = metadata.get("name", "")
    # Upstream names the kind where a resource stands in other messages.
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    if uid is not None and uid != metadata.get("uid"):
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record"
            f" ({metadata.get('uid')}). The object might have been deleted and then recreated"
        )
        raise Conflict.for_object(resource.group, resource.kind, name, why)
    if version is not None and version != metadata.get("resourceVersion"):
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the"
            f" ResourceVersion in record ({metadata.get('resourceVersion')}). The object might"
            " have been modified"
        )
        raise Conflict.for_object(resource.group, resource.kind, name, why)


class _Marked(NamedTuple):
    """An object on its way out: to be stored as marked, or to be removed at once."""

    object: Object
    gone: bool


def _mark(resource: Resource, obj: Object, options: Object) -> _Marked | None:
    """Decide; None when a deletion already under way stays as it is."""
    metadata = obj["metadata"]
    grace = _grace(resource, obj, options)
    if grace == _PENDING:
        return None
    finalizers = _finalizers(resource, metadata, options)
    if grace is not None:
        _set_grace(metadata, grace)
        _set_finalizers(metadata, finalizers)
        return _Marked(obj, gone=not finalizers and grace == 0)
    _set_finalizers(metadata, finalizers)
    if not finalizers:
        return _Marked(obj, gone=True)
    if not metadata.get("deletionTimestamp"):
        _bump_generation(metadata)
        metadata["deletionTimestamp"] = timestamp()
    metadata["deletionGracePeriodSeconds"] = 0
    return _Marked(obj, gone=False)


#: A grace period that says: the deletion under way stays as it is.
_PENDING = -1


def _grace(resource: Resource, obj: Object, options: Object) -> int | None:
    """The new grace period in seconds; None where the kind knows none; or `_PENDING`."""
    if resource.kind != "Pod" or resource.group:
        return None
    metadata = obj["metadata"]
    wanted = options.get("gracePeriodSeconds")
    if wanted is not None and wanted < 0:
        wanted = 1
    if metadata.get("deletionTimestamp"):
        current = metadata.get("deletionGracePeriodSeconds")
        if current is None:
            return None
        return wanted if wanted is not None and wanted < current else _PENDING
    return _pod_grace(obj, wanted)


def _pod_grace(pod: Object, wanted: int | None) -> int:
    spec = pod.get("spec") or {}
    period: int = wanted if wanted is not None else spec.get("terminationGracePeriodSeconds") or 0
    unscheduled = not spec.get("nodeName")
    finished = (pod.get("status") or {}).get("phase") in _FINISHED_PHASES
    if unscheduled or finished:
        return 0
    return 1 if period < 0 else period


def _set_grace(metadata: dict[str, Any], grace: int) -> None:
    begun = metadata.get("deletionTimestamp")
    if begun:
        ends = datetime.strptime(begun, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        moment = ends - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    else:
        moment = datetime.now(UTC)
        _bump_generation(metadata)
    metadata["deletionTimestamp"] = timestamp(moment + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace


def _bump_generation(metadata: dict[str, Any]) -> None:
    if metadata.get("generation", 0) > 0:
        metadata["generation"] += 1


def _finalizers(resource: Resource, metadata: dict[str, Any], options: Object) -> list[str]:
    """The object's finalizers with those that tell the garbage collector what to do."""
    found: list[str] = list(metadata.get("finalizers") or [])
    cleanup = rules.cleanup_finalizer(resource)
    if cleanup and cleanup not in found:
        found.append(cleanup)
    if not rules.collects_garbage(resource):
        return found
    wanted = _policy(resource, found, options)
    kept = [one for one in found if one not in (_ORPHAN, _FOREGROUND)]
    return [*kept, wanted] if wanted else kept


def _policy(resource: Resource, found: list[str], options: Object) -> str:
    orphan = options.get("orphanDependents")
    if orphan is not None:
        return _ORPHAN if orphan else ""
    policy = options.get("propagationPolicy")
    if policy is not None:
        return {"Orphan": _ORPHAN, "Foreground": _FOREGROUND}.get(policy, "")
    for one in found:
        if one in (_ORPHAN, _FOREGROUND):
            return one
    return _ORPHAN if rules.orphans_by_default(resource) else ""


def _set_finalizers(metadata: dict[str, Any], finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _mark_namespace(resource: Resource, obj: Object, options: Object) -> _Marked | None:
    """A namespace first becomes Terminating; it goes when its finalizers are gone."""
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        if (obj.get("spec") or {}).get("finalizers"):
            return None
        return _mark(resource, obj, options)
    metadata["deletionTimestamp"] = timestamp()
    obj.setdefault("status", {})["phase"] = "Terminating"
    _set_finalizers(metadata, _finalizers(resource, metadata, options))
    return _Marked(obj, gone=False)


async def _store(
    engine: Engine, served: Served, item: CachedObject, obj: Object, write: Write
) -> Deleted:
    stored = await storing.encode(served, obj)
    if write.dry_run:
        return Deleted(await storing.result(served, stored, item.revision), gone=False)
    path = engine.cache(served).prefix + item.key
    revision = await engine.store.update(path, stored.value, expected=item.revision)
    return Deleted(await storing.result(served, stored, revision), gone=False)


async def _remove(
    engine: Engine, served: Served, item: CachedObject, obj: Object, write: Write
) -> Deleted:
    if write.dry_run:  # nothing was marked, so what would go is what is there
        return Deleted(await storing.current(served, item), gone=True)
    path = engine.cache(served).prefix + item.key
    revision = await engine.store.delete(path, expected=item.revision)
    hooks = engine.hooks_of(served)
    if hooks is not None:
        await hooks.after_delete(engine.registry, obj)
    return Deleted(Result(splice(codec.encode_body(obj), revision)), gone=True)
