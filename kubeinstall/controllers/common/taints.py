"""Taints and tolerations, by upstream's matching rules."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinstall.api.types import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"


def taints_of(node: Object) -> list[Object]:
    """The node's taints."""
    return list((node.get("spec") or {}).get("taints") or [])


def tolerates(toleration: Object, taint: Object) -> bool:
    """One toleration tolerates one taint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    value = taint.get("value") or ""
    if operator == "Exists":
        return True
    if operator == "Equal":
        return (toleration.get("value") or "") == value
    return _compares(operator, toleration.get("value") or "", value)


def _compares(operator: str, limit: str, value: str) -> bool:
    """`Lt` and `Gt` compare integers (alpha in v1.35)."""
    try:
        left, right = int(value), int(limit)
    except ValueError:
        return False
    return left < right if operator == "Lt" else operator == "Gt" and left > right


def untolerated(
    taints: Iterable[Object], tolerations: list[Object], effects: frozenset[str]
) -> Object | None:
    """The first taint of these effects that nothing tolerates."""
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
