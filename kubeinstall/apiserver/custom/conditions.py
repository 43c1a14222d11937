"""Conditions of a CustomResourceDefinition: NamesAccepted, Established, Terminating."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.engine.create import timestamp


def condition(definition: Object, kind: str) -> Object | None:
    """The condition of that type, or None."""
    for item in (definition.get("status") or {}).get("conditions") or []:
        if item.get("type") == kind:
            found: Object = item
            return found
    return None


def holds(definition: Object, kind: str) -> bool:
    """Whether the condition is True."""
    found = condition(definition, kind)
    return found is not None and found.get("status") == "True"


def set_condition(definition: Object, kind: str, status: str, reason: str, message: str) -> None:
    """Set it in place; the transition time changes only with the status."""
    status_of = definition["status"] = definition.get("status") or {}
    conditions: list[Object] = status_of.get("conditions") or []
    status_of["conditions"] = conditions  # upstream's types write null where there are none
    found = condition(definition, kind)
    if found is None:
        found = {"type": kind}
        conditions.append(found)
    if found.get("status") != status:
        found["lastTransitionTime"] = timestamp()
    found.update(status=status, reason=reason, message=message)
