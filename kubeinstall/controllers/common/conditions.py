"""Conditions in status: setting, replacing, removing, by upstream's rules."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object


def make(kind: str, status: str, reason: str, message: str, *, updated: bool = False) -> Object:
    """A condition that changed now; `updated` adds the `lastUpdateTime` of Deployments."""
    now = times.now()
    made = {
        "type": kind,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    if updated:
        made["lastUpdateTime"] = now
    return {name: value for name, value in made.items() if value}


def find(conditions: list[Object] | None, kind: str) -> Object | None:
    """The condition of a type, or None."""
    return next((c for c in conditions or () if c.get("type") == kind), None)


def set_condition(conditions: list[Object], new: Object) -> list[Object]:
    """A list with `new` in place of the one of its type.

    One that says the same (status and reason) stays; the transition time moves only with the status.
    """
    current = find(conditions, new["type"])
    if current is not None:
        if current["status"] == new["status"] and current.get("reason") == new.get("reason"):
            return conditions
        if current["status"] == new["status"] and "lastTransitionTime" in current:
            new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*(c for c in conditions if c.get("type") != new["type"]), new]


def remove(conditions: list[Object], kind: str) -> list[Object]:
    """The list without the condition of a type."""
    return [c for c in conditions if c.get("type") != kind]
