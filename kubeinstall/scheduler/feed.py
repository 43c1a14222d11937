"""Takes the watches' news into the state and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.client import Informer, InformerSet
from kubeinstall.scheduler import slim
from kubeinstall.scheduler.pod import PodInfo, parse_pod
from kubeinstall.scheduler.queue import (
    NODE_ADDED,
    NODE_CHANGED,
    OTHER,
    POD_GONE,
    POD_PLACED,
    STORAGE,
    SchedulingQueue,
)
from kubeinstall.scheduler.state import ClusterState


@dataclass(slots=True)
class Sources:
    """The informers that the scheduler reads."""

    pods: Informer
    nodes: Informer
    namespaces: Informer
    services: Informer
    replica_sets: Informer
    stateful_sets: Informer
    replication_controllers: Informer
    budgets: Informer
    claims: Informer
    volumes: Informer
    classes: Informer

    @classmethod
    def open(cls, informers: InformerSet) -> Sources:
        """Ask for all of them; ended pods are left out by the server."""
        by_namespace = {"namespace": lambda obj: [obj["metadata"]["namespace"]]}

        def selectors(gvr: str) -> Informer:
            return informers.informer(gvr, transform=slim.slim_selector, indexers=by_namespace)

        return cls(
            pods=informers.informer(
                "v1/pods",
                field_selector="status.phase!=Succeeded,status.phase!=Failed",
                transform=slim.slim_pod,
            ),
            nodes=informers.informer("v1/nodes", transform=slim.slim_node),
            namespaces=informers.informer("v1/namespaces", transform=slim.slim_namespace),
            services=selectors("v1/services"),
            replica_sets=selectors("apps/v1/replicasets"),
            stateful_sets=selectors("apps/v1/statefulsets"),
            replication_controllers=selectors("v1/replicationcontrollers"),
            budgets=informers.informer(
                "policy/v1/poddisruptionbudgets",
                transform=slim.slim_budget,
                indexers=by_namespace,
            ),
            claims=informers.informer("v1/persistentvolumeclaims", transform=slim.slim_storage),
            volumes=informers.informer("v1/persistentvolumes", transform=slim.slim_storage),
            classes=informers.informer(
                "storage.k8s.io/v1/storageclasses", transform=slim.slim_storage
            ),
        )


class Feed:
    """Handlers of the informers; all run on the event loop and are quick."""

    def __init__(self, state: ClusterState, queue: SchedulingQueue, names: frozenset[str]) -> None:
        self._state = state
        self._queue = queue
        self._names = names
        self._claims: dict[str, dict[str, PodInfo]] = {}

    def connect(self, sources: Sources, claims_changed: Callable[[], None]) -> None:
        """Listen. Namespaces and nodes may come before or after the pods on them."""
        sources.namespaces.add_handler(self._namespace)
        sources.nodes.add_handler(self._node)
        sources.pods.add_handler(self._pod)

        def storage(_old: Object | None, _new: Object | None) -> None:
            claims_changed()
            self._queue.happened(STORAGE)

        for informer in (sources.claims, sources.volumes, sources.classes):
            informer.add_handler(storage)

    def claim_users(self, claim: str) -> list[PodInfo]:
        """Pods on nodes that use the claim `namespace/name`."""
        return list(self._claims.get(claim, {}).values())

    def preemption_lost(self, pod: PodInfo) -> None:
        """The victims could not be evicted: give the node back and try again."""
        self._state.nominate(pod, "")
        self._queue.happened(OTHER)

    def _namespace(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            labels = (new["metadata"].get("labels") or {}) if new else None
            self._state.set_namespace(obj["metadata"]["name"], labels)
            if old is not None and new is not None:
                self._queue.happened(OTHER)

    def _node(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._state.remove_node(old["metadata"]["name"])
            return
        if old is not None and _same_node(old, new):
            return
        self._state.set_node(new)
        self._queue.happened(NODE_ADDED if old is None else NODE_CHANGED)

    def _pod(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._gone(old)
        elif new["spec"].get("nodeName"):
            self._placed(old, new)
        else:
            self._pending(old, new)

    def _gone(self, old: Object) -> None:
        key = _key(old)
        self._queue.remove(key)
        info = self._state.info(key)
        if info is not None:
            self._use_claims(info, False)
            self._state.forget(key)
            self._queue.happened(POD_GONE)
            self._wake_nominated()
        else:
            self._state.nominate(parse_pod(old), "")

    def _wake_nominated(self) -> None:
        """Pods that made others go are tried at once when those have gone, not after their back-off."""
        for waiting in list(self._state.nominations().values()):
            for key in list(waiting):
                self._queue.activate(key)

    def _placed(self, old: Object | None, new: Object) -> None:
        key = _key(new)
        node = new["spec"]["nodeName"]
        here = self._state.where(key) == node
        if here and old is not None and old["spec"].get("nodeName") and _same_pod(old, new):
            return
        if here and key in self._state.assumed and old is not None and _same_pod(old, new):
            self._state.assumed.discard(key)
            self._queue.remove(key)
            return
        self._queue.remove(key)
        info = parse_pod(new)
        self._use_claims(info, True)
        self._state.place(info, node)
        self._queue.happened(POD_PLACED if not here else POD_GONE)

    def _pending(self, old: Object | None, new: Object) -> None:
        key = _key(new)
        if (new["spec"].get("schedulerName") or "default-scheduler") not in self._names:
            return
        if key in self._state.assumed:
            return
        info = parse_pod(new)
        if info.deleting:
            self._queue.remove(key)
            self._state.nominate(info, "")
            return
        if info.nominated and not self._state.nominated_node(key):
            self._state.nominate(info, info.nominated)
        if old is None or not self._queue.known(key):
            self._queue.add(info)
        else:
            self._queue.changed(parse_pod(old).shape, info)

    def _use_claims(self, pod: PodInfo, uses: bool) -> None:
        for name in pod.claims:
            claim = f"{pod.namespace}/{name}"
            users = self._claims.setdefault(claim, {})
            if uses:
                users[pod.key] = pod
            else:
                users.pop(pod.key, None)
            if not users:
                del self._claims[claim]


def _key(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _same_pod(old: Object, new: Object) -> bool:
    """Nothing changed that is counted on a node."""
    before, after = old["metadata"], new["metadata"]
    return bool(
        before.get("uid") == after.get("uid")
        and before.get("labels") == after.get("labels")
        and before.get("deletionTimestamp") == after.get("deletionTimestamp")
        and old["spec"].get("containers") == new["spec"].get("containers")
        and old["status"].get("containerStatuses") == new["status"].get("containerStatuses")
    )


def _same_node(old: Object, new: Object) -> bool:
    return bool(
        old["metadata"].get("labels") == new["metadata"].get("labels")
        and old["spec"] == new["spec"]
        and old["status"] == new["status"]
    )
