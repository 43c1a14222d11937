"""Node health: silent nodes become Unknown, ill ones are tainted, their pods are not ready.

Upstream looks at all nodes every five seconds. Here each node has a timer that is set for the moment
at which its silence would be too long, so that a healthy cluster costs nothing.
"""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions, pods
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.common.taints import (
    DISK_PRESSURE,
    MEMORY_PRESSURE,
    NETWORK_UNAVAILABLE,
    NOT_READY,
    PID_PRESSURE,
    UNREACHABLE,
    UNSCHEDULABLE,
    taints_of,
)
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.nodes.health import Heartbeats, unknown_conditions
from kubeinstall.controllers.nodes.zones import ZonePacer
from kubeinstall.errors import Conflict, NotFound

NODES = "v1/nodes"
LEASES = "coordination.k8s.io/v1/leases"
LEASE_NAMESPACE = "kube-node-lease"
NODE_INDEX = "node"
#: (condition, status) to the NoSchedule taint that it means.
_CONDITION_TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): MEMORY_PRESSURE,
    ("DiskPressure", "True"): DISK_PRESSURE,
    ("PIDPressure", "True"): PID_PRESSURE,
    ("NetworkUnavailable", "True"): NETWORK_UNAVAILABLE,
}
_OURS = frozenset({*_CONDITION_TAINTS.values(), UNSCHEDULABLE})
#: How often a stopped eviction looks whether it may go on.
PAUSED_SECONDS = 10.0


def by_node(pod: Object) -> tuple[str, ...]:
    """Indexer: the node that a pod is bound to."""
    name = pods.node_name(pod)
    return (name,) if name else ()


class NodeLifecycleController(QueueController):
    """Keys are names of nodes."""

    name: ClassVar[str] = "node-lifecycle-controller"
    component: ClassVar[str] = "node-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._beats = Heartbeats()
        self._pacer = ZonePacer(self.settings)
        self._nodes = self.informer(NODES)
        self._pods = self.informer(PODS, {NODE_INDEX: by_node})
        # Leases of leader elections are none of our business.
        self._leases = context.informers.informer(LEASES, LEASE_NAMESPACE)
        self._marked: set[str] = set()
        self._nodes.add_handler(self._node_changed)
        self._leases.add_handler(self._lease_changed)

    async def run(self) -> None:
        """Watch over nodes until cancelled."""
        await self._leases.wait_synced()
        await super().run()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            gone = (old or {})["metadata"]["name"]
            self._beats.forget(gone)
            self._marked.discard(gone)
            text = f"Node {gone} event: Removing Node {gone} from Controller"
            self.events.event(old or {}, "Normal", "RemovingNode", text)
            return
        name = new["metadata"]["name"]
        self._beats.node(new)
        if old is None:
            lease = self._leases.get(name, LEASE_NAMESPACE)
            if lease is not None:
                self._beats.lease(lease)
            text = f"Node {name} event: Registered Node {name} in Controller"
            self.events.event(new, "Normal", "RegisteredNode", text)
        if old is None or _relevant(old) != _relevant(new):
            self.queue.add(name)

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._beats.lease(new)

    async def reconcile(self, key: str) -> float | None:
        """Judge one node; called again when its grace would be over."""
        node = self._nodes.get(key)
        if node is None:
            return None
        grace = self.settings.node_monitor_grace_period
        if conditions.find((node.get("status") or {}).get("conditions"), "Ready") is None:
            grace = self.settings.node_startup_grace_period
        left = grace - self._beats.silent_for(key)
        if left <= 0:
            node = await self._mark_unknown(node)
        await self._sync_no_schedule(node)
        soon = await self._sync_no_execute(node)
        await self._sync_pods(node)
        waits = [wait for wait in (left if left > 0 else None, soon) if wait is not None]
        # A node that is Unknown is seen again by the event of its recovery.
        return min(waits) + 0.05 if waits else None

    async def _mark_unknown(self, node: Object) -> Object:
        listed = unknown_conditions(node)
        status = node.get("status") or {}
        if listed == (status.get("conditions") or []):
            return node
        # Guarded: a heartbeat that came meanwhile counts for more than our clock.
        meta = node["metadata"]
        patch = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "status": {"conditions": listed},
        }
        return await self.client.patch(NODES, meta["name"], patch, subresource="status")

    async def _sync_no_schedule(self, node: Object) -> None:
        wanted = {
            taint
            for found in (node.get("status") or {}).get("conditions") or ()
            if (taint := _CONDITION_TAINTS.get((found["type"], found["status"])))
        }
        if node["spec"].get("unschedulable"):
            wanted.add(UNSCHEDULABLE)
        current = taints_of(node)
        present = {t["key"] for t in current if t["effect"] == "NoSchedule" and t["key"] in _OURS}
        if present == wanted:
            return
        kept = [t for t in current if t["effect"] != "NoSchedule" or t["key"] not in _OURS - wanted]
        now = times.now()
        kept += [
            {"key": name, "effect": "NoSchedule", "timeAdded": now}
            for name in sorted(wanted - present)
        ]
        await self._write_taints(node, kept)

    async def _sync_no_execute(self, node: Object) -> float | None:
        """The NoExecute taint; seconds until the pace of the zone allows it."""
        node = self._nodes.get(node["metadata"]["name"]) or node
        found = conditions.find((node.get("status") or {}).get("conditions"), "Ready") or {}
        wanted = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(found.get("status") or "", "")
        current = taints_of(node)
        present = {
            t["key"]
            for t in current
            if t["effect"] == "NoExecute" and t["key"] in {NOT_READY, UNREACHABLE}
        }
        nodes = self._nodes.list()
        if wanted and self._pacer.all_disrupted(nodes):
            wanted = ""
            paused: float | None = PAUSED_SECONDS
        else:
            paused = None
        if present == ({wanted} if wanted else set()):
            return paused
        if wanted and wanted not in present:
            wait = self._pacer.wait(node, nodes)
            if wait is None or wait > 0:
                return PAUSED_SECONDS if wait is None else wait
        kept = [
            t
            for t in current
            if t["effect"] != "NoExecute" or t["key"] not in {NOT_READY, UNREACHABLE}
        ]
        if wanted:
            kept.append({"key": wanted, "effect": "NoExecute", "timeAdded": times.now()})
        await self._write_taints(node, kept)
        return paused

    async def _write_taints(self, node: Object, taints: list[Object]) -> None:
        """Guarded by the version: a taint that another has just set must not be lost."""
        meta = node["metadata"]
        patch = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "spec": {"taints": taints or None},
        }
        await self.client.patch(NODES, meta["name"], patch)

    async def _sync_pods(self, node: Object) -> None:
        """Pods of a node that is not ready are not ready, so that Services drop them."""
        name = node["metadata"]["name"]
        if pods.ready(node):
            self._marked.discard(name)
            return
        found = conditions.find((node.get("status") or {}).get("conditions"), "Ready")
        if found is None or name in self._marked:
            return
        text = f"Node {name} status is now: NodeNotReady"
        self.events.event(node, "Normal", "NodeNotReady", text)
        for pod in self._pods.by_index(NODE_INDEX, name):
            await self._mark_not_ready(pod)
        self._marked.add(name)

    async def _mark_not_ready(self, pod: Object) -> None:
        current = pods.condition(pod, "Ready")
        if current is None or current["status"] != "True":
            return
        meta = pod["metadata"]
        changed = {"type": "Ready", "status": "False", "lastTransitionTime": times.now()}
        try:
            await self.client.patch(
                PODS,
                meta["name"],
                {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [changed]}},
                meta["namespace"],
                kind="strategic",
                subresource="status",
            )
        except (NotFound, Conflict):
            return
        self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def _relevant(node: Object) -> tuple[object, ...]:
    """What of a node is judged; heartbeats alone need no work."""
    listed = (node.get("status") or {}).get("conditions") or ()
    said = tuple((c["type"], c["status"]) for c in listed)
    return said, node["spec"].get("unschedulable"), taints_of(node)
