"""EndpointSlices of Services that select pods."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.controller import ControllerContext
from kubeinstall.controllers.endpoints import facts, slices
from kubeinstall.controllers.endpoints.slices import SLICES, Group
from kubeinstall.controllers.endpoints.tracker import WriteTracker
from kubeinstall.controllers.endpoints.watching import ServiceWatcher
from kubeinstall.controllers.endpoints.writing import write

MANAGER = "endpointslice-controller.k8s.io"
ZONE_LABEL = "topology.kubernetes.io/zone"
SERVICE_INDEX = "service"
_RESERVED = frozenset({slices.SERVICE_LABEL, slices.MANAGED_LABEL, facts.HEADLESS_LABEL})


def service_of_slice(obj: Object) -> tuple[str, ...]:
    """Indexer: `namespace/service` of a slice."""
    name = owners.labels_of(obj).get(slices.SERVICE_LABEL)
    return (f"{obj['metadata']['namespace']}/{name}",) if name else ()


def managed_by(obj: Object, manager: str) -> bool:
    """The slice belongs to this controller."""
    return owners.labels_of(obj).get(slices.MANAGED_LABEL) == manager


class EndpointSliceController(ServiceWatcher):
    """Keys are `namespace/name` of Services."""

    name: ClassVar[str] = "endpointslice-controller"
    component: ClassVar[str] = "endpoint-slice-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_service_endpoint_syncs
        self._nodes = self.informer("v1/nodes")
        self._slices = self.informer(SLICES, {SERVICE_INDEX: service_of_slice})
        self._tracker = WriteTracker(self._slices)
        self._slices.add_handler(self._slice_changed)
        self._nodes.add_handler(self._node_changed)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for state in (old, new):
            if state is not None and managed_by(state, MANAGER):
                for service in service_of_slice(state):
                    self.queue.add(service)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        """A node that moves to another zone changes the zone of its endpoints."""
        before = owners.labels_of(old).get(ZONE_LABEL) if old is not None else None
        after = owners.labels_of(new).get(ZONE_LABEL) if new is not None else None
        if before == after:
            return
        name = (new or old or {})["metadata"]["name"]
        for service in self.services.list():
            if facts.selects_pods(service) and any(
                pods.node_name(pod) == name for pod in self.selected(service)
            ):
                self.queue.add(key_of(service))

    async def reconcile(self, key: str) -> float | None:
        """Make the slices of one Service right."""
        service = self.services.get_key(key)
        if service is None or owners.deleting(service):
            # Its slices go with it: they are owned by it.
            self._tracker.forget(key)
            return None
        if not facts.selects_pods(service):
            return None
        if not self._tracker.current(key):
            # The event of our own write will wake us.
            return None
        existing = [s for s in self._slices.by_index(SERVICE_INDEX, key) if managed_by(s, MANAGER)]
        wanted = facts.families(service)
        chosen = self.selected(service)
        for family in wanted:
            mine = [s for s in existing if s.get("addressType") == family]
            await write(
                self.client,
                self._tracker,
                key,
                slices.plan(
                    self._groups(service, chosen, family),
                    mine,
                    frame(service, family, MANAGER),
                    self.settings.max_endpoints_per_slice,
                ),
            )
        stale = [s for s in existing if s.get("addressType") not in wanted]
        await write(self.client, self._tracker, key, slices.Plan(delete=stale))
        return None

    def _groups(self, service: Object, chosen: list[Object], family: str) -> dict[bytes, Group]:
        groups: dict[bytes, Group] = {}
        for pod in chosen:
            address = facts.pod_ip(pod, family)
            if not address or not facts.belongs(pod, terminating=True):
                continue
            ports = facts.ports(service, pod)
            if service["spec"].get("ports") and not ports:
                continue
            endpoint = self._endpoint(service, pod, address)
            group = groups.setdefault(slices.ports_key(ports), Group(ports))
            group.endpoints[slices.endpoint_key(endpoint)] = endpoint
        return groups

    def _endpoint(self, service: Object, pod: Object, address: str) -> Object:
        serving = pods.ready(pod)
        terminating = owners.deleting(pod)
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        ready = publish or (serving and not terminating)
        endpoint: Object = {
            "addresses": [address],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        }
        if name := facts.hostname(pod, service):
            endpoint["hostname"] = name
        endpoint["targetRef"] = facts.target(pod)
        node = pods.node_name(pod)
        zone = ""
        if node:
            endpoint["nodeName"] = node
            found = self._nodes.get(node)
            zone = owners.labels_of(found).get(ZONE_LABEL, "") if found is not None else ""
        if zone:
            endpoint["zone"] = zone
        hints = _hints(service, zone, node) if ready else {}
        if hints:
            endpoint["hints"] = hints
        return endpoint


def _hints(service: Object, zone: str, node: str) -> Object:
    distribution = service["spec"].get("trafficDistribution")
    hints: Object = {}
    if distribution and zone:
        hints["forZones"] = [{"name": zone}]
    if distribution == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return hints


def frame(service: Object, family: str, manager: str) -> Object:
    """A slice of the Service without endpoints and ports."""
    meta = service["metadata"]
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k not in _RESERVED}
    labels[slices.SERVICE_LABEL] = meta["name"]
    labels[slices.MANAGED_LABEL] = manager
    if facts.headless(service):
        labels[facts.HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [owners.new_controller_ref(service, "v1", "Service")],
        },
        "addressType": family,
    }
