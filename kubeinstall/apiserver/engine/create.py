"""Create: `registry.Store.Create` of upstream."""

from __future__ import annotations

from datetime import UTC, datetime

from kubeinstall.api import codec, names, strategy, validation
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.engine import storing
from kubeinstall.apiserver.engine.engine import Engine, Result, Write, key_of, metadata_of
from kubeinstall.apiserver.hooks.requester import record_requester
from kubeinstall.apiserver.request import CREATE, AdmissionAttributes
from kubeinstall.errors import AlreadyExists, Invalid, KeyExists, StatusError
from kubeinstall.storage.cache import CachedObject

_GENERATE_ATTEMPTS = 8


async def create(
    engine: Engine, served: Served, obj: Object, write: Write, namespace: str = ""
) -> Result:
    """Store a new object.

    `obj` is of the storage version, defaulted, and becomes the engine's. Raises what a POST
    answers: `AlreadyExists`, `Invalid`, `Forbidden`, …
    """
    metadata = metadata_of(obj)
    attributes = AdmissionAttributes(
        resource=served.storage,
        operation=CREATE,
        object=obj,
        old=None,
        user=write.user,
        name=metadata.get("name") or "",
        namespace=namespace,
        dry_run=write.dry_run,
        options=write.options,
        warnings=write.warnings,
        requested=served.resource,
    )
    obj = await engine.mutate(write, attributes)
    attempts = _GENERATE_ATTEMPTS if _needs_name(obj) else 1
    while True:
        attempts -= 1
        try:
            return await _create_once(engine, served, obj, write, attributes)
        except AlreadyExists:
            if attempts <= 0:
                raise
            metadata_of(obj)["name"] = ""


def _needs_name(obj: Object) -> bool:
    metadata = metadata_of(obj)
    return bool(metadata.get("generateName")) and not metadata.get("name")


async def _create_once(
    engine: Engine, served: Served, obj: Object, write: Write, attributes: AdmissionAttributes
) -> Result:
    resource = served.storage
    fill_metadata(obj)
    strategy.prepare_create(resource, obj)
    record_requester(resource, obj, write.user)
    # What admission and strategy left behind, as upstream's types would encode it.
    obj = codec.normalize(resource, obj)
    hooks = engine.hooks_of(served)
    if hooks is None:
        return await _validate_and_store(engine, served, obj, write, attributes)
    await hooks.before_create(engine.registry, obj, write.dry_run)
    try:
        result = await _validate_and_store(engine, served, obj, write, attributes)
    except BaseException:
        if not write.dry_run:
            await hooks.rollback_create(engine.registry, obj)
        raise
    return result


async def _validate_and_store(
    engine: Engine, served: Served, obj: Object, write: Write, attributes: AdmissionAttributes
) -> Result:
    resource = served.storage
    metadata = metadata_of(obj)
    name = metadata.get("name") or ""
    errors = validation.validate_create(resource, obj)
    if errors:
        raise Invalid(resource.group, resource.kind, name, errors)
    write.warnings.extend(validation.warnings(resource, obj))
    attributes.object, attributes.name = obj, name
    await engine.admit(write, attributes)
    return await _store(engine, served, obj, write)


async def _store(engine: Engine, served: Served, obj: Object, write: Write) -> Result:
    metadata = metadata_of(obj)
    cache = engine.cache(served)
    key = key_of(served, metadata.get("namespace", ""), metadata["name"])
    stored = await storing.encode(served, obj)
    if write.dry_run:
        await engine.cacher.fresh()
        existing = cache.get(key)
        if existing is not None:
            raise _exists(served, metadata["name"], existing)
        version = str(metadata.get("resourceVersion") or "")
        if not version.isdecimal():
            return Result(stored.body)
        return await storing.result(served, stored, int(version))
    if metadata.get("resourceVersion"):
        raise StatusError(
            "resourceVersion should not be set on objects to be created", code=500, reason=""
        )
    try:
        revision = await engine.store.create(
            cache.prefix + key, stored.value, ttl=engine.ttl(served)
        )
    except KeyExists as error:
        await engine.cacher.fresh()
        raise _exists(served, metadata["name"], cache.get(key)) from error
    return await storing.result(served, stored, revision)


def _exists(served: Served, name: str, item: CachedObject | None) -> AlreadyExists:
    error = AlreadyExists.for_object(served.resource.group, served.resource.name, name)
    if item is not None and item.object()["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error


def fill_metadata(obj: Object) -> None:
    """What the system sets on a new object: uid, creation time, a generated name."""
    metadata = metadata_of(obj)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(key, None)
    metadata["uid"] = names.new_uid()
    metadata["creationTimestamp"] = timestamp()
    if _needs_name(obj):
        metadata["name"] = names.generate_name(metadata["generateName"])


def timestamp(moment: datetime | None = None) -> str:
    """`metav1.Time` of a moment, by default now."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
