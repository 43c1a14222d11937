"""The status of a DaemonSet."""

from __future__ import annotations

from datetime import datetime

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import pods
from kubeinstall.controllers.daemonset.nodes import Fit
from kubeinstall.controllers.daemonset.plan import is_updated


def calculate(
    daemon_set: Object,
    fits: dict[str, Fit],
    by_node: dict[str, list[Object]],
    revision: str,
    now: datetime,
) -> Object:
    """`.status`, counted over nodes."""
    wait = daemon_set["spec"].get("minReadySeconds") or 0
    counts = dict.fromkeys(("current", "misscheduled", "desired", "ready", "updated", "up"), 0)
    for node, fit in fits.items():
        found = by_node.get(node) or []
        if not fit.run:
            counts["misscheduled"] += bool(found)
            continue
        counts["desired"] += 1
        if not found:
            continue
        counts["current"] += 1
        first = min(
            found,
            key=lambda p: (p["metadata"].get("creationTimestamp") or "", p["metadata"]["name"]),
        )
        counts["ready"] += pods.ready(first)
        counts["up"] += pods.available(first, wait, now)
        counts["updated"] += is_updated(first, revision)
    old = daemon_set.get("status") or {}
    status: Object = {
        "currentNumberScheduled": counts["current"],
        "numberMisscheduled": counts["misscheduled"],
        "desiredNumberScheduled": counts["desired"],
        "numberReady": counts["ready"],
        "observedGeneration": daemon_set["metadata"].get("generation") or 0,
    }
    optional = {
        "updatedNumberScheduled": counts["updated"],
        "numberAvailable": counts["up"],
        "numberUnavailable": counts["desired"] - counts["up"],
    }
    status |= {name: count for name, count in optional.items() if count}
    for kept in ("collisionCount", "conditions"):
        if old.get(kept) is not None:
            status[kept] = old[kept]
    return status
