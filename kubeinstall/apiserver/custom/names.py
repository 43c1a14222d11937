"""Names of custom resources: those of a group may not be taken twice (upstream's naming controller)."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinstall.api.types import Object
from kubeinstall.apiserver.custom.conditions import set_condition


def accept_names(definition: Object, others: Iterable[Object]) -> bool:
    """Set `status.acceptedNames` and the condition NamesAccepted, in place; whether all names are accepted.

    `others` are the other definitions of the same group; what they have accepted is theirs.
    """
    wanted: Object = definition["spec"]["names"]
    taken_resources: set[str] = set()
    taken_kinds: set[str] = set()
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        taken_resources.update(filter(None, [names.get("plural"), names.get("singular")]))
        taken_resources.update(names.get("shortNames") or ())
        taken_kinds.update(filter(None, [names.get("kind"), names.get("listKind")]))
    accepted: Object = dict((definition.get("status") or {}).get("acceptedNames") or {})
    conflicts: list[tuple[str, str]] = []
    for field, taken, reason in (
        ("plural", taken_resources, "PluralConflict"),
        ("singular", taken_resources, "SingularConflict"),
        ("kind", taken_kinds, "KindConflict"),
        ("listKind", taken_kinds, "ListKindConflict"),
    ):
        name = wanted.get(field, "")
        if name and name in taken:
            conflicts.append((reason, f'"{name}" is already in use'))
        elif name:
            accepted[field] = name
    clashing = [name for name in wanted.get("shortNames") or [] if name in taken_resources]
    if clashing:
        conflicts.append(("ShortNamesConflict", f'"{clashing[0]}" is already in use'))
    else:
        _set(accepted, "shortNames", wanted.get("shortNames"))
    _set(accepted, "categories", wanted.get("categories"))
    definition["status"] = {**(definition.get("status") or {}), "acceptedNames": accepted}
    if conflicts:
        reason, message = conflicts[0]
        set_condition(definition, "NamesAccepted", "False", reason, message)
        return False
    set_condition(definition, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
    return True


def _set(accepted: Object, field: str, value: list[str] | None) -> None:
    if value:
        accepted[field] = value
    else:
        accepted.pop(field, None)
