"""Volumes: where a pod's claims can be satisfied, and what has to happen before it is bound.

Bound claims pin the pod to where their volumes can be reached. Claims that wait for a consumer are matched
with free volumes, or given to the provisioner of their class by an annotation that names the node. Upstream:
the plugins VolumeBinding, VolumeRestrictions and VolumeZone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.scheduler.affinity import matches_selector, matches_term
from kubeinstall.scheduler.matrix import Bools, Node
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Refusal

BINDING = "VolumeBinding"
CONFLICT_REASON = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME_REASON = "node(s) didn't find available persistent volumes to bind"
ONCE_POD_REASON = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)
UNBOUND_REASON = "pod has unbound immediate PersistentVolumeClaims"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
ZONE_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class Store(Protocol):
    """A local copy of a resource (an informer)."""

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        """One object."""
        ...

    def list(self, namespace: str | None = None) -> list[Object]:
        """All objects."""
        ...


@dataclass(slots=True)
class VolumePlan:
    """What binding a pod's claims on one node takes: volumes to claim, claims to have provisioned."""

    static: list[tuple[Object, Object]] = field(default_factory=list)  # (volume, claim)
    provision: list[Object] = field(default_factory=list)


class VolumePlugin:
    """Reads claims, volumes and classes from local copies."""

    def __init__(
        self,
        state: ClusterState,
        claims: Store,
        volumes: Store,
        classes: Store,
        claim_users: Callable[[str], list[PodInfo]],
    ) -> None:
        self._state = state
        self._claims, self._volumes, self._classes = claims, volumes, classes
        self._users = claim_users
        #: Volumes promised to claims whose binding is on its way.
        self.promised: dict[str, str] = {}

    def early(self, pod: PodInfo) -> str:
        """A reason that holds for every node, or ""."""
        for name in pod.claims:
            claim = self._claims.get(name, pod.namespace)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if (claim.get("status") or {}).get("phase") == "Lost":
                volume = claim["spec"].get("volumeName")
                return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
            if not _bound(claim) and not self._waits(claim):
                return UNBOUND_REASON
            if "ReadWriteOncePod" in (claim["spec"].get("accessModes") or []) and any(
                user.key != pod.key for user in self._users(f"{pod.namespace}/{name}")
            ):
                return ONCE_POD_REASON
        return ""

    def filter(self, pod: PodInfo, alive: Bools) -> list[Refusal]:
        """Refuse nodes from which a claim's volume cannot be reached; `alive` loses them."""
        if not pod.claims:
            return []
        size = self._state.matrix.size
        conflict, missing = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        for node in self._state.matrix.nodes.values():
            if alive[node.row]:
                reason = self._node_reason(pod, node)
                conflict[node.row] = reason == CONFLICT_REASON
                missing[node.row] = reason == NO_VOLUME_REASON
        found = []
        for reason, rows in ((CONFLICT_REASON, conflict), (NO_VOLUME_REASON, missing)):
            if rows.any():
                found.append(Refusal(BINDING, reason, rows, rows.copy()))
                alive &= ~rows
        return found

    def plan(self, pod: PodInfo, node: Node) -> VolumePlan | None:
        """How to satisfy the unbound claims on `node`; None when it cannot be done."""
        plan = VolumePlan()
        taken: set[str] = set()
        for name in pod.claims:
            claim = self._claims.get(name, pod.namespace)
            if claim is None:
                return None
            if _bound(claim):
                continue
            volume = self._match(claim, node, taken)
            if volume is not None:
                taken.add(volume["metadata"]["name"])
                plan.static.append((volume, claim))
            elif self._provisions(claim, node):
                plan.provision.append(claim)
            else:
                return None
        return plan

    def _node_reason(self, pod: PodInfo, node: Node) -> str:
        for name in pod.claims:
            claim = self._claims.get(name, pod.namespace)
            if claim is None or not _bound(claim):
                continue
            volume = self._volumes.get(claim["spec"]["volumeName"])
            if volume is None or not _reachable(volume, node):
                return CONFLICT_REASON
        return "" if self.plan(pod, node) is not None else NO_VOLUME_REASON

    def _waits(self, claim: Object) -> bool:
        storage_class = self._class(claim)
        return (
            storage_class is not None
            and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        )

    def _class(self, claim: Object) -> Object | None:
        name = claim["spec"].get("storageClassName") or ""
        return self._classes.get(name) if name else None

    def _match(self, claim: Object, node: Node, taken: set[str]) -> Object | None:
        """The smallest free volume that fits claim and node; one already reserved for it comes first."""
        key = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        best: Object | None = None
        best_size = None
        for volume in self._volumes.list():
            name = volume["metadata"]["name"]
            owner = (volume["spec"].get("claimRef")) or {}
            promised = self.promised.get(name, key)
            if name in taken or promised != key or not _reachable(volume, node):
                continue
            if owner:
                if f"{owner.get('namespace')}/{owner.get('name')}" == key:
                    return volume
                continue
            size = Quantity.parse(volume["spec"].get("capacity", {}).get("storage", "0"))
            if _suits(volume, claim, size) and (best_size is None or size < best_size):
                best, best_size = volume, size
        return best

    def _provisions(self, claim: Object, node: Node) -> bool:
        storage_class = self._class(claim)
        if storage_class is None or storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
            return False
        chosen = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if chosen and chosen != node.name:
            return False
        topologies = storage_class.get("allowedTopologies") or []
        return not topologies or any(_in_topology(term, node) for term in topologies)


def _bound(claim: Object) -> bool:
    if not claim["spec"].get("volumeName"):
        return False
    annotations = claim["metadata"].get("annotations") or {}
    return "pv.kubernetes.io/bind-completed" in annotations or (
        (claim.get("status") or {}).get("phase") == "Bound"
    )


def _reachable(volume: Object, node: Node) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required and not matches_selector(required, node.labels, node.name):
        return False
    labels = volume["metadata"].get("labels") or {}
    for label in ZONE_LABELS:
        # Old volumes carry their zone as a label, several joined by "__".
        if label in labels and node.labels.get(label) not in labels[label].split("__"):
            return False
    return True


def _suits(volume: Object, claim: Object, size: Quantity) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    if (spec.get("storageClassName") or "") != (wanted.get("storageClassName") or ""):
        return False
    if (volume.get("status") or {}).get("phase") not in ("Available", None):
        return False
    if (spec.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return False
    if not set(wanted.get("accessModes") or []) <= set(spec.get("accessModes") or []):
        return False
    asked = ((wanted.get("resources") or {}).get("requests") or {}).get("storage", "0")
    if size < Quantity.parse(asked):
        return False
    selector = wanted.get("selector")
    labels = volume["metadata"].get("labels") or {}
    return selector is None or LabelSelector.from_object(selector).matches(labels)


def _in_topology(term: Object, node: Node) -> bool:
    expressions = [
        {"key": e["key"], "operator": "In", "values": e.get("values") or []}
        for e in term.get("matchLabelExpressions") or []
    ]
    return not expressions or matches_term(
        {"matchExpressions": expressions}, node.labels, node.name
    )
