"""`metadata.managedFields`: its entries as managers with sets, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kubeinstall.api.apply.fieldset import FieldSet, union
from kubeinstall.api.types import Object

APPLY: Final = "Apply"
UPDATE: Final = "Update"
#: Upstream keeps at most so many managers of updates; older ones are merged into this one.
MAX_UPDATE_MANAGERS: Final = 10
ANCIENT: Final = "ancient-changes"
MAX_MANAGER_LENGTH: Final = 128


class Identity(NamedTuple):
    """Who owns fields. For applies the version is not part of it (it is empty here)."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def describe(self, api_version: str) -> str:
        """As conflict messages name it: `"m" with subresource "scale" using apps/v1`."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {api_version}" if self.operation == UPDATE else text


@dataclass(slots=True)
class Managed:
    """What one manager owns: `fields` in terms of `api_version`, since `time`."""

    fields: FieldSet
    api_version: str
    time: str


Managers = dict[Identity, Managed]


def identity(manager: str, operation: str, api_version: str, subresource: str) -> Identity:
    """The identity of a request."""
    return Identity(manager, operation, "" if operation == APPLY else api_version, subresource)


def manager_name(field_manager: str, user_agent: str) -> str:
    """The manager of a request: its `fieldManager`, else its User-Agent up to the first `/`."""
    if field_manager:
        return field_manager
    name = "".join(c for c in user_agent.partition("/")[0] if c.isprintable())
    while len(name.encode()) > MAX_MANAGER_LENGTH:
        name = name[:-1]
    return name or "unknown"


def decode(entries: list[Any] | None) -> Managers | None:
    """Managers of `metadata.managedFields`; None when an entry cannot be read."""
    managers: Managers = {}
    for entry in entries or ():
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            return None
        fields = entry.get("fieldsV1", {})
        if not isinstance(fields, dict) or entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            return None
        version = entry.get("apiVersion", "")
        who = identity(
            entry.get("manager", ""), entry["operation"], version, entry.get("subresource", "")
        )
        managers[who] = Managed(fields, version, entry.get("time") or "")
    return managers


def encode(managers: Managers) -> list[Object]:
    """The entries of `metadata.managedFields`, in upstream's order: applies first, then by time."""
    ordered = sorted(
        ((who, managed) for who, managed in managers.items() if managed.fields),
        key=lambda pair: (
            pair[0].operation,
            pair[1].time,
            pair[0].manager,
            pair[1].api_version,
            pair[0].subresource,
        ),
    )
    return [_entry(who, managed) for who, managed in ordered]


def _entry(who: Identity, managed: Managed) -> Object:
    entry: Object = {
        "manager": who.manager,
        "operation": who.operation,
        "apiVersion": managed.api_version,
    }
    if managed.time:
        entry["time"] = managed.time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = managed.fields
    if who.subresource:
        entry["subresource"] = who.subresource
    return entry


def cap(managers: Managers) -> None:
    """Merge the oldest managers of updates into one a version, so that there are at most ten."""
    updaters = [who for who in managers if who.operation == UPDATE]
    if len(updaters) <= MAX_UPDATE_MANAGERS:
        return
    updaters.sort(key=lambda who: (managers[who].time, who.manager))
    for who in updaters:
        if sum(1 for each in managers if each.operation == UPDATE) <= MAX_UPDATE_MANAGERS:
            break
        if who.manager == ANCIENT:
            continue
        old = managers.pop(who)
        bucket = Identity(ANCIENT, UPDATE, who.api_version, "")
        kept = managers.get(bucket)
        fields = union(kept.fields, old.fields) if kept else old.fields
        managers[bucket] = Managed(fields, old.api_version, old.time)
