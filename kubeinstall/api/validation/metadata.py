"""ObjectMeta: names, labels, owner references, finalizers, and what an update may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import Check, dns1123_label, qualified_name
from kubeinstall.api.validation.labels import check_annotations, check_labels

_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_MANAGERS_OPERATIONS = ("Apply", "Update")


def check_metadata(
    errors: Errors,
    meta: Object,
    *,
    namespaced: bool,
    name: Check,
    path: str = "metadata",
    core: bool = True,
) -> None:
    """Metadata of a new object, or of an update's new state; `core` as in `check_metadata_details`."""
    generate = meta.get("generateName", "")
    if generate:
        errors.each(f"{path}.generateName", generate, name(mask_trailing_dash(generate)))
    if not meta.get("name"):
        errors.required(f"{path}.name", "name or generateName is required")
    else:
        errors.each(f"{path}.name", meta["name"], name(meta["name"]))
    namespace = meta.get("namespace", "")
    if namespaced:
        if not namespace:
            errors.required(f"{path}.namespace")
        else:
            errors.each(f"{path}.namespace", namespace, dns1123_label(namespace))
    elif namespace:
        errors.forbidden(f"{path}.namespace", "not allowed on this type")
    check_metadata_details(errors, meta, path, core=core)


def check_metadata_details(errors: Errors, meta: Object, path: str, *, core: bool = True) -> None:
    """What does not depend on the name. `core`: finalizers without a domain must be known ones."""
    errors.not_negative(f"{path}.generation", meta.get("generation"))
    check_labels(errors, meta.get("labels"), f"{path}.labels")
    check_annotations(errors, meta.get("annotations"), f"{path}.annotations")
    _check_owners(errors, meta.get("ownerReferences") or [], f"{path}.ownerReferences")
    _check_finalizers(errors, meta.get("finalizers") or [], f"{path}.finalizers", core=core)
    _check_managed_fields(errors, meta.get("managedFields") or [], f"{path}.managedFields")


def mask_trailing_dash(name: str) -> str:
    """A generateName as if its suffix were there."""
    return name[:-2] + "a" if len(name) > 1 and name.endswith("-") else name


def check_metadata_update(errors: Errors, new: Object, old: Object, path: str = "metadata") -> None:
    """What an update may not change."""
    new_finalizers, old_finalizers = new.get("finalizers") or [], old.get("finalizers") or []
    if old.get("deletionTimestamp"):
        added = [item for item in new_finalizers if item not in old_finalizers]
        if added:
            listed = "{" + ", ".join(f'"{item}":sets.Empty{{}}' for item in sorted(added)) + "}"
            errors.forbidden(
                f"{path}.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers sets.Set[string]{listed}",
            )
    if new.get("generation", 0) < old.get("generation", 0):
        errors.invalid(f"{path}.generation", new.get("generation", 0), "must not be decremented")
    for field in ("name", "namespace", "uid"):
        errors.immutable(f"{path}.{field}", new.get(field, ""), old.get(field, ""))
    for field in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        errors.immutable(f"{path}.{field}", new.get(field), old.get(field))


def _check_owners(errors: Errors, owners: list[Mapping[str, Any]], path: str) -> None:
    controller = ""
    for owner in owners:
        api_version = owner.get("apiVersion", "")
        version = api_version.rpartition("/")[2]
        if not version or api_version.count("/") > 1:
            errors.invalid(f"{path}.apiVersion", api_version, "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                errors.invalid(f"{path}.{field}", owner.get(field, ""), "must not be empty")
        if api_version == "v1" and owner.get("kind") == "Event":
            errors.invalid(
                path, dict(owner), f"{api_version}, Kind=Event is disallowed from being an owner"
            )
        if owner.get("controller"):
            if controller:
                errors.invalid(
                    path,
                    owners,
                    f'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {owner.get('name', '')}",
                )
                return
            controller = owner.get("name", "")


def _check_finalizers(errors: Errors, finalizers: list[str], path: str, *, core: bool) -> None:
    for index, name in enumerate(finalizers):
        at = f"{path}[{index}]"
        errors.each(at, name, qualified_name(name))
        if (
            core
            and "/" not in name
            and name not in _STANDARD_FINALIZERS
            and not qualified_name(name)
        ):
            errors.invalid(
                at, name, "name is neither a standard finalizer name nor is it fully qualified"
            )
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        errors.invalid(
            path,
            finalizers,
            'finalizer "orphan" and "foregroundDeletion" cannot be both set',
        )


def _check_managed_fields(errors: Errors, entries: list[Mapping[str, Any]], path: str) -> None:
    for index, entry in enumerate(entries):
        at = f"{path}[{index}]"
        if entry.get("operation", "") not in _MANAGERS_OPERATIONS:
            errors.invalid(
                f"{at}.operation", entry.get("operation", ""), "must be `Apply` or `Update`"
            )
        fields_type = entry.get("fieldsType", "")
        if fields_type and fields_type != "FieldsV1":
            errors.invalid(f"{at}.fieldsType", fields_type, "must be `FieldsV1`")
        check_field_manager(errors, entry.get("manager", ""), f"{at}.manager")


def check_field_manager(errors: Errors, manager: str, path: str) -> None:
    """A field manager's name: at most 128 printable characters."""
    if len(manager) > 128:
        errors.too_long(path, 128)
    for index, character in enumerate(manager):
        if not character.isprintable():
            errors.invalid(
                path,
                manager,
                f"should only contain printable characters, found {character!r} at {index}",
            )
            return
