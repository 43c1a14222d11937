"""When a node was last heard of, by its Lease and its status."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions

#: Conditions that a silent kubelet can no longer vouch for.
VOUCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(slots=True)
class Heartbeat:
    """What was seen last, and when by our own clock: nodes' clocks need not agree with ours."""

    at: float
    lease: str = ""
    status: str = ""


class Heartbeats:
    """The heartbeats of all nodes."""

    def __init__(self) -> None:
        self._nodes: dict[str, Heartbeat] = {}

    def node(self, node: Object) -> None:
        """A node was seen; a newer heartbeat in its Ready condition counts."""
        name = node["metadata"]["name"]
        ready = conditions.find((node.get("status") or {}).get("conditions"), "Ready") or {}
        beat = ready.get("lastHeartbeatTime") or ""
        known = self._nodes.get(name)
        if known is None:
            self._nodes[name] = Heartbeat(time.monotonic(), status=beat)
        elif known.status != beat:
            # Our own marking the node Unknown leaves the heartbeat time alone.
            known.status = beat
            known.at = time.monotonic()

    def lease(self, lease: Object) -> None:
        """A node's lease was renewed."""
        known = self._nodes.get(lease["metadata"]["name"])
        renewed = (lease.get("spec") or {}).get("renewTime") or ""
        if known is not None and known.lease != renewed:
            known.lease = renewed
            known.at = time.monotonic()

    def forget(self, name: str) -> None:
        """The node is gone."""
        self._nodes.pop(name, None)

    def silent_for(self, name: str) -> float:
        """Seconds since the last heartbeat of a node."""
        known = self._nodes.get(name)
        return 0.0 if known is None else time.monotonic() - known.at


def unknown_conditions(node: Object) -> list[Object]:
    """The conditions of a node that fell silent, with Unknown for what its kubelet vouched for."""
    listed = list((node.get("status") or {}).get("conditions") or [])
    now = times.now()
    for kind in VOUCHED:
        current = conditions.find(listed, kind)
        if current is None:
            listed.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
                    "lastTransitionTime": now,
                }
            )
        elif current["status"] != "Unknown":
            listed[listed.index(current)] = {
                **current,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
    return listed
