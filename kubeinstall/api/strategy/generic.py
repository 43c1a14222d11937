"""What every kind's strategy shares: metadata that clients cannot set, status, generations."""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api.types import Object

_MISSING: Final = object()

#: Metadata that a write to status leaves alone, for kinds that reset it (ResetObjectMetaForStatus).
_NOT_FOR_STATUS: Final = (
    "deletionTimestamp",
    "generation",
    "selfLink",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
)


def take(new: Object, old: Object, *names: str) -> None:
    """Make fields of `new` what they are in `old`, missing included.

    Dicts are copied one level deep: what fills `new` in later must not reach into `old`.
    """
    for name in names:
        value = old.get(name, _MISSING)
        if value is _MISSING:
            new.pop(name, None)
        else:
            new[name] = dict(value) if type(value) is dict else value


def metadata(obj: Object) -> Object:
    """The object's metadata, made when missing."""
    found = obj.get("metadata")
    if found is None:
        found = obj["metadata"] = {}
    meta: Object = found
    return meta


def set_generation(obj: Object, generation: int) -> None:
    """Set `metadata.generation`; zero is left out, as Go does."""
    meta = metadata(obj)
    if generation:
        meta["generation"] = generation
    else:
        meta.pop("generation", None)


def bump(new: Object, old: Object) -> None:
    """One generation more than `old`."""
    set_generation(new, int(metadata(old).get("generation") or 0) + 1)


def same(new: Object, old: Object, *names: str) -> bool:
    """Whether the fields are equal; a missing one equals an empty one, as Go's nil."""
    return all(_value(new, name) == _value(old, name) for name in names)


def _value(obj: Object, name: str) -> Any:
    value = obj.get(name)
    return None if value in ({}, [], "") else value


def same_besides(new: Object, old: Object, *names: str) -> bool:
    """Whether all but the named top-level fields (and the envelope) are equal."""
    skip = {*names, "apiVersion", "kind"}
    return same(new, old, *((set(new) | set(old)) - skip))


def clear_system_fields(obj: Object) -> None:
    """On create: what only a deletion sets."""
    meta = metadata(obj)
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(name, None)


def keep_generation(new: Object, old: Object) -> None:
    """On update, before the strategy: a client cannot set the generation."""
    take(metadata(new), metadata(old), "generation")


def keep_system_fields(new: Object, old: Object) -> None:
    """On update, after the strategy: identity and deletion are the server's to change."""
    meta, before = metadata(new), metadata(old)
    if not meta.get("uid"):
        take(meta, before, "uid")
    if before.get("creationTimestamp"):
        meta["creationTimestamp"] = before["creationTimestamp"]
    if before.get("deletionTimestamp"):
        meta["deletionTimestamp"] = before["deletionTimestamp"]
        if "deletionGracePeriodSeconds" not in meta:
            take(meta, before, "deletionGracePeriodSeconds")
    else:
        meta.pop("deletionTimestamp", None)
    meta.pop("selfLink", None)


def keep_metadata_for_status(new: Object, old: Object) -> None:
    """A write to status changes no metadata that users own."""
    take(metadata(new), metadata(old), *_NOT_FOR_STATUS)
