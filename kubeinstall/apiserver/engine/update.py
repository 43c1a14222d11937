"""Update: the guaranteed update of upstream's storage, and the rules of `registry.Store.Update`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from kubeinstall.api import apply, codec, strategy, validation
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.engine import rules, storing
from kubeinstall.apiserver.engine.create import create
from kubeinstall.apiserver.engine.engine import Engine, Result, Write, key_of, metadata_of
from kubeinstall.apiserver.request import UPDATE, AdmissionAttributes
from kubeinstall.errors import Conflict, FieldError, Invalid, KeyConflict, StatusError
from kubeinstall.storage.cache import CachedObject

_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
#: More conflicts in a row than any real contention causes.
_ATTEMPTS = 100

#: Makes the new object out of the current one (None: it does not exist), both of the storage
#: version; returns None to leave it as it is. Called again after a conflict.
Transform = Callable[[Object | None], Awaitable[Object | None]]


class Updated(NamedTuple):
    """What an update did."""

    result: Result
    created: bool = False


class _Target(NamedTuple):
    served: Served
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> str:
        return key_of(self.served, self.namespace, self.name)


async def update(
    engine: Engine,
    served: Served,
    namespace: str,
    name: str,
    transform: Transform,
    write: Write,
    *,
    subresource: str = "",
    may_create: bool = False,
    precondition_uid: bool = False,
) -> Updated:
    """Change an object, or make it where the resource (or a patch by apply) allows that.

    `precondition_uid`: a uid in the new object must be the current one (PUT). Raises `NotFound`,
    `Conflict`, `Invalid`, …
    """
    target = _Target(served, namespace, name, subresource)
    await engine.cacher.fresh()
    for _ in range(_ATTEMPTS):
        item = engine.cache(served).get(target.key)
        shown = await storing.current(served, item) if item is not None else None
        old = shown.object() if shown is not None else None
        if item is None or old is None or shown is None:
            if not may_create:
                raise engine.missing(served, target.key)
            new = await transform(None)
            if new is None:
                raise engine.missing(served, target.key)
            metadata_of(new).pop("resourceVersion", None)
            return Updated(await create(engine, served, new, write, namespace), created=True)
        new = await transform(old)
        if new is None:
            return Updated(shown)
        new = await engine.mutate(write, attributes_of(served, new, old, write, subresource))
        _check_uid(target, new, old, precondition_uid)
        _check_revision(target, new, old)
        try:
            return Updated(await _replace(engine, target, item, new, old, write))
        except KeyConflict:
            await engine.cacher.fresh()
    raise _conflict(target)


def _conflict(target: _Target) -> Conflict:
    resource = target.served.resource
    return Conflict.for_object(resource.group, resource.name, target.name, _MODIFIED)


def _check_uid(target: _Target, new: Object, old: Object, precondition: bool) -> None:
    uid, current = metadata_of(new).get("uid"), old["metadata"].get("uid")
    if not precondition or not uid or uid == current:
        return
    resource = target.served.resource
    why = (
        f"StorageError: invalid object, Code: 4, Key: {_storage_key(target)}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta:"
        f" {current}"
    )
    raise Conflict.for_object(resource.group, resource.name, target.name, why)


#: Where upstream's key of a resource does not begin with its plural.
_KEY_NAMES = {
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
}
_KEYS_WITH_GROUP = ("apiextensions.k8s.io", "apiregistration.k8s.io")


def _storage_key(target: _Target) -> str:
    """The key that upstream would name: the message shows it."""
    storage = target.served.storage
    name = _KEY_NAMES.get((storage.group, storage.name), storage.name)
    if storage.group in _KEYS_WITH_GROUP or not storage.builtin:
        name = f"{storage.group}/{name}"
    return f"/registry/{name}/{target.key}"


def _check_revision(target: _Target, new: Object, old: Object) -> None:
    metadata = metadata_of(new)
    current = old["metadata"]["resourceVersion"]
    wanted = metadata.get("resourceVersion") or ""
    if wanted in ("", "0"):
        if not rules.allows_unconditional_update(target.served.storage):
            message = "Invalid value: 0: must be specified for an update"
            error = FieldError("FieldValueInvalid", "metadata.resourceVersion", message)
            resource = target.served.resource
            raise Invalid(resource.group, resource.name, target.name, [error])
        metadata["resourceVersion"] = current
    elif not wanted.isdecimal():
        raise StatusError(
            f'strconv.ParseUint: parsing "{wanted}": invalid syntax', code=500, reason=""
        )
    elif wanted != current:
        raise _conflict(target)


async def _replace(
    engine: Engine, target: _Target, item: CachedObject, new: Object, old: Object, write: Write
) -> Result:
    resource = target.served.storage
    carry_over(metadata_of(new), old["metadata"])
    strategy.prepare_update(resource, new, old, target.subresource)
    new = codec.normalize(resource, new)
    hooks = engine.hooks_of(target.served) if not target.subresource else None
    if hooks is None:
        return await _validate_and_store(engine, target, item, new, old, write)
    await hooks.before_update(engine.registry, new, old, write.dry_run)
    try:
        result = await _validate_and_store(engine, target, item, new, old, write)
    except BaseException:
        if not write.dry_run:
            await hooks.rollback_update(engine.registry, new, old)
        raise
    return result


async def _validate_and_store(
    engine: Engine, target: _Target, item: CachedObject, new: Object, old: Object, write: Write
) -> Result:
    served, resource = target.served, target.served.storage
    errors = validation.validate_update(resource, new, old, target.subresource)
    if errors:
        raise Invalid(resource.group, resource.kind, target.name, errors)
    if not target.subresource:
        write.warnings.extend(validation.warnings(resource, new))
    await engine.admit(write, attributes_of(target.served, new, old, write, target.subresource))
    new = {name: value for name, value in new.items() if name not in ("kind", "apiVersion")}
    prefix = engine.cache(served).prefix
    stale = engine.is_stale(prefix + target.key, item.revision) or (
        served.reading is not None and served.reading.stale(item)
    )
    if apply.only_times_changed(old, new) and not stale:
        return await storing.current(served, item)
    finished = rules.delete_during_update(resource, new, old)
    stored = await storing.encode(served, new)
    if write.dry_run:
        return await storing.result(served, stored, item.revision)
    if finished:
        revision = await engine.store.delete(prefix + target.key, expected=item.revision)
        hooks = engine.hooks_of(served)
        if hooks is not None:
            await hooks.after_delete(engine.registry, new)
    else:
        revision = await engine.store.update(
            prefix + target.key, stored.value, expected=item.revision, ttl=engine.ttl(served)
        )
        hooks = engine.hooks_of(served) if not target.subresource else None
        if hooks is not None:
            await hooks.after_update(engine.registry, new, old)
    return await storing.result(served, stored, revision)


def attributes_of(
    served: Served, new: Object, old: Object, write: Write, subresource: str = ""
) -> AdmissionAttributes:
    """An update as admission sees it."""
    metadata = old["metadata"]
    return AdmissionAttributes(
        resource=served.storage,
        operation=UPDATE,
        object=new,
        old=old,
        user=write.user,
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        subresource=subresource,
        dry_run=write.dry_run,
        options=write.options,
        warnings=write.warnings,
        requested=served.resource,
    )


def carry_over(new: dict[str, Any], old: dict[str, Any]) -> None:
    """What a writer cannot change, or need not repeat, in metadata: `rest.BeforeUpdate`."""
    new.pop("selfLink", None)
    _keep(new, old, "generation")
    if not new.get("uid"):
        _keep(new, old, "uid")
    if "creationTimestamp" in old:
        new["creationTimestamp"] = old["creationTimestamp"]
    if old.get("deletionTimestamp"):
        new["deletionTimestamp"] = old["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in old and new.get("deletionGracePeriodSeconds") is None:
        new["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]


def _keep(new: dict[str, Any], old: dict[str, Any], key: str) -> None:
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)
