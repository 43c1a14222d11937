"""Server-side apply: merging a configuration, owning its fields, refusing what others own."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from kubeinstall.api import times
from kubeinstall.api.apply import managers as mgr
from kubeinstall.api.apply.check import message, problems
from kubeinstall.api.apply.compare import Comparison, compare, field_set
from kubeinstall.api.apply.fieldset import (
    FieldSet,
    difference,
    ensure_named,
    intersection,
    paths,
    union,
)
from kubeinstall.api.apply.managers import Identity, Managed, Managers
from kubeinstall.api.apply.merge import merge, remove
from kubeinstall.api.apply.model import TypeNode
from kubeinstall.api.apply.ownership import STRIPPED, Path, reset_paths, without
from kubeinstall.api.apply.tracking import set_entries, take, type_node
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest, Conflict, StatusError

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"

Conflicts = dict[Identity, tuple[FieldSet, str]]


class ApplyResult(NamedTuple):
    """`object` is the merged object with its managedFields; `changed` is False when no field but
    those changed (upstream then keeps the live object's other fields as they are)."""

    object: Object
    changed: bool


def server_side_apply(
    resource: Resource,
    live: Object | None,
    config: Object,
    *,
    manager: str,
    force: bool = False,
    subresource: str = "",
    now: str | None = None,
    node: TypeNode | None = None,
) -> ApplyResult:
    """Apply `config` for `manager` to `live` (None: the object does not exist), both unchanged.

    All are in the version of `resource`. The result is not defaulted: the caller normalizes,
    defaults, admits and validates it as it would an update. Raises BadRequest for another version
    or managedFields in `config`, StatusError 500 (as upstream) when `config` does not fit the type,
    Conflict (409, causes `FieldManagerConflict`) when others own fields with other values.
    """
    _check_request(resource, config)
    kind = type_node(resource, node)
    wrong = problems(kind, config)
    if wrong:
        raise StatusError(
            f"failed to create typed patch object ({_named(resource, config)}): {message(wrong)}",
            code=500,
            reason="",
        )
    managers = mgr.decode(((live or {}).get("metadata") or {}).get("managedFields")) or {}
    base = _without_entries(live or {})
    who = mgr.identity(manager, mgr.APPLY, resource.api_version, subresource)
    merged, updated, conflicts = _apply(resource, kind, base, config, managers, who, now)
    if conflicts and not force:
        allowed = _allowed(kind, base) if manager == _KUBECTL else {}
        remaining = {
            other: (left, version)
            for other, (fields, version) in conflicts.items()
            if (left := difference(fields, allowed))
        }
        if remaining:
            raise conflict_error(remaining)
    changed = merged != base
    if manager == _KUBECTL:
        merged = _sync_last_applied(merged, config)
    # The metadata may be the configuration's own: never write into that.
    merged = {**merged, "metadata": dict(merged.get("metadata") or {})}
    set_entries(merged, updated)
    return ApplyResult(merged, changed)


def _check_request(resource: Resource, config: Object) -> None:
    version = config.get("apiVersion", "")
    if version != resource.api_version:
        raise BadRequest(
            f"Incorrect version specified in apply patch. Specified patch version: {version}, "
            f"expected: {resource.api_version}"
        )
    if (config.get("metadata") or {}).get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


def _named(resource: Resource, config: Object) -> str:
    metadata = config.get("metadata") or {}
    name = metadata.get("name", "")
    where = f"{metadata['namespace']}/{name}" if metadata.get("namespace") else f"/{name}"
    return f"{where}; {resource.api_version}, Kind={resource.kind}"


def _without_entries(obj: Object) -> Object:
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _apply(
    resource: Resource,
    kind: TypeNode,
    live: Object,
    config: Object,
    managers: Managers,
    who: Identity,
    now: str | None,
) -> tuple[Object, Managers, Conflicts]:
    reset = reset_paths(resource, who.subresource)
    last = managers.get(who)
    stated = without(field_set(kind, config), reset)
    claimed = without(stated, STRIPPED)
    moment = now or times.now()
    managers = dict(managers)
    # While pruning, the name counts as owned: else metadata that loses its last label would go.
    managers[who] = Managed(stated, resource.api_version, moment)
    merged: Object = merge(kind, live, config)
    if last is not None and last.fields:
        merged = _prune(kind, merged, managers, last)
    found = _difference(kind, live, merged, reset)
    others = {other: managed for other, managed in managers.items() if other != who}
    conflicts: Conflicts = {}
    changed = found.changed
    for other, managed in others.items():
        both = intersection(managed.fields, changed)
        if both:
            conflicts[other] = (both, managed.api_version)
    take(others, found)
    if claimed:
        unchanged = last is not None and last.fields == claimed and found.same
        others[who] = Managed(
            claimed, resource.api_version, last.time if unchanged and last else moment
        )
    return merged, others, conflicts


def _difference(
    kind: TypeNode, live: Object, merged: Object, reset: tuple[Path, ...]
) -> Comparison:
    found = compare(kind, live, merged)
    return Comparison(*(without(fields, reset) for fields in found))


def _prune(kind: TypeNode, merged: Object, managers: Managers, last: Managed) -> Object:
    """Take out what this manager applied last time, not this time, and nobody else owns."""
    all_fields = _named_fields(kind, field_set(kind, merged))
    previous = _named_fields(kind, last.fields)
    pruned: Object = remove(kind, merged, previous) or {}
    managed: FieldSet = {}
    for each in managers.values():
        managed = union(managed, each.fields)
    kept = union(_of(kind, pruned), _named_fields(kind, managed))
    # Add back what is owned by anyone, then what was never applied by this manager.
    pruned = remove(kind, merged, difference(all_fields, kept)) or {}
    gone = intersection(difference(all_fields, _of(kind, pruned)), previous)
    return remove(kind, merged, gone) or {}


def _of(kind: TypeNode, obj: Object) -> FieldSet:
    return _named_fields(kind, field_set(kind, obj))


def _named_fields(kind: TypeNode, fields: FieldSet) -> FieldSet:
    return ensure_named(fields, kind)


def _allowed(kind: TypeNode, live: Object) -> FieldSet:
    """Fields that client-side apply last set and nobody changed since: kubectl may take them over."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        applied = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(applied, dict) or problems(kind, applied):
        return {}
    found = compare(kind, applied, live)
    claimed = field_set(kind, applied)
    for fields in (found.modified, found.added, found.removed):
        claimed = difference(claimed, fields)
    return claimed


def _sync_last_applied(merged: Object, config: Object) -> Object:
    """kubectl's server-side apply keeps the annotation of its client-side apply in step."""
    metadata = merged.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return merged
    mine = {
        key: value
        for key, value in ((config.get("metadata") or {}).get("annotations") or {}).items()
        if key != LAST_APPLIED
    }
    stated = {**config, "metadata": {**(config.get("metadata") or {}), "annotations": mine}}
    text = orjson.dumps(stated, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return {
        **merged,
        "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text}},
    }


def conflict_error(conflicts: Conflicts) -> Conflict:
    """409 with one `FieldManagerConflict` cause a field, in upstream's words."""
    found: dict[str, list[str]] = {}
    for who in sorted(conflicts):
        fields, version = conflicts[who]
        found.setdefault(who.describe(version), []).extend(paths(fields))
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": path}
        for name, owned in found.items()
        for path in owned
    ]
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        parts = [
            "\n".join([f"conflicts with {name}:", *(f"- {path}" for path in owned)])
            for name, owned in found.items()
        ]
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return Conflict(text, details={"causes": causes})
