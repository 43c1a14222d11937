"""Facts about pods that controllers act on, as upstream's podutil defines them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common.owners import deleting

PODS = "v1/pods"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase(pod: Object) -> str:
    """The pod's phase; a pod that was never looked at is Pending."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def finished(pod: Object) -> bool:
    """Succeeded or Failed."""
    return phase(pod) in {"Succeeded", "Failed"}


def active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return not finished(pod) and not deleting(pod)


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of a type, or None."""
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            result: Object = found
            return result
    return None


def ready(pod: Object) -> bool:
    """The Ready condition is True."""
    found = condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


def available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least so many seconds."""
    return available_in(pod, min_ready_seconds, now) == 0


def available_in(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available, 0 when it does; None when it is not ready."""
    found = condition(pod, "Ready")
    if found is None or found.get("status") != "True":
        return None
    if not min_ready_seconds:
        return 0
    since = found.get("lastTransitionTime")
    if not since:
        return None
    passed = (now - times.parse(since)).total_seconds()
    return max(0.0, min_ready_seconds - passed)


def node_name(pod: Object) -> str:
    """The node that the pod is bound to, "" for none."""
    return (pod.get("spec") or {}).get("nodeName") or ""


def restarts(pod: Object) -> int:
    """The largest restart count of its containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((s.get("restartCount") or 0 for s in statuses), default=0)


def deletion_cost(pod: Object) -> int:
    """The pod-deletion-cost annotation; 0 when absent or wrong."""
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST) or "0"
    try:
        return int(text)
    except ValueError:
        return 0


def deletion_order(candidates: list[Object], related: Iterable[Object]) -> list[Object]:
    """`candidates` with those to be deleted first in front.

    Unassigned, then pending, not ready, cheap, doubled up on a node (counting `related`), ready for
    a short time (on a logarithmic scale), often restarted, young.
    """
    ranks: dict[str, int] = {}
    for pod in related:
        if active(pod) and node_name(pod):
            ranks[node_name(pod)] = ranks.get(node_name(pod), 0) + 1
    now = times.parse(times.now())

    def rank(pod: Object) -> tuple[Any, ...]:
        node = node_name(pod)
        is_ready = ready(pod)
        found = condition(pod, "Ready") or {}
        return (
            bool(node),
            _PHASE_RANK.get(phase(pod), 0),
            is_ready,
            deletion_cost(pod),
            -ranks.get(node, 0),
            _log_age(found.get("lastTransitionTime"), now) if is_ready else 0,
            -restarts(pod),
            _log_age(pod["metadata"].get("creationTimestamp"), now),
            pod["metadata"].get("uid") or "",
        )

    return sorted(candidates, key=rank)


def _log_age(since: str | None, now: datetime) -> int:
    if not since:
        return -1
    seconds = (now - times.parse(since)).total_seconds()
    return int(math.log2(seconds)) if seconds >= 1 else 0
