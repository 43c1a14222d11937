"""Mirrors Endpoints that were made by hand into EndpointSlices, which is all that proxies read."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.endpoints import facts, slices
from kubeinstall.controllers.endpoints.endpoints_controller import ENDPOINTS
from kubeinstall.controllers.endpoints.slice_controller import (
    SERVICE_INDEX,
    managed_by,
    service_of_slice,
)
from kubeinstall.controllers.endpoints.slices import SLICES, Group
from kubeinstall.controllers.endpoints.tracker import WriteTracker
from kubeinstall.controllers.endpoints.writing import write

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Upstream mirrors so many addresses of a subset and no more.
MAX_PER_SUBSET = 1000


class EndpointSliceMirroringController(QueueController):
    """Keys are `namespace/name` of Endpoints."""

    name: ClassVar[str] = "endpointslice-mirroring-controller"
    component: ClassVar[str] = "endpoint-slice-mirroring-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._endpoints = self.informer(ENDPOINTS)
        self._services = self.informer(facts.SERVICES)
        self._slices = self.informer(SLICES, {SERVICE_INDEX: service_of_slice})
        self._tracker = WriteTracker(self._slices)
        self._endpoints.add_handler(self._wake)
        self._services.add_handler(self._wake)
        self._slices.add_handler(self._slice_changed)

    def _wake(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for state in (old, new):
            if state is not None and managed_by(state, MANAGER):
                for key in service_of_slice(state):
                    self.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        """Make the mirror of one Endpoints object right, or take it away."""
        if not self._tracker.current(key):
            return None
        mine = [s for s in self._slices.by_index(SERVICE_INDEX, key) if managed_by(s, MANAGER)]
        endpoints, service = self._endpoints.get_key(key), self._services.get_key(key)
        if (
            endpoints is None
            or service is None
            or service["spec"].get("selector")
            or not _mirrored(endpoints)
        ):
            await write(self.client, self._tracker, key, slices.Plan(delete=mine))
            return None
        for family in ("IPv4", "IPv6"):
            groups = _groups(endpoints, family)
            existing = [s for s in mine if s.get("addressType") == family]
            if not groups:
                plan = slices.Plan(delete=existing)
            else:
                limit = self.settings.max_endpoints_per_slice
                plan = slices.plan(groups, existing, _frame(endpoints, family), limit)
            await write(self.client, self._tracker, key, plan)
        return None


def _mirrored(endpoints: Object) -> bool:
    """Not told to skip, and not an old leader election record."""
    if owners.labels_of(endpoints).get(SKIP_LABEL) == "true":
        return False
    return LEADER not in (endpoints["metadata"].get("annotations") or {})


def _groups(endpoints: Object, family: str) -> dict[bytes, Group]:
    groups: dict[bytes, Group] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        group = groups.setdefault(slices.ports_key(ports), Group(ports))
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in (subset.get(field) or ())[:MAX_PER_SUBSET]:
                if f"IPv{ipaddress.ip_address(address['ip']).version}" != family:
                    continue
                endpoint = _endpoint(address, ready)
                group.endpoints[slices.endpoint_key(endpoint)] = endpoint
    return {key: group for key, group in groups.items() if group.endpoints}


def _endpoint(address: Object, ready: bool) -> Object:
    made: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("hostname", "targetRef", "nodeName"):
        if address.get(name):
            made[name] = address[name]
    return made


def _frame(endpoints: Object, family: str) -> Object:
    meta = endpoints["metadata"]
    labels = dict(meta.get("labels") or {})
    labels[slices.SERVICE_LABEL] = meta["name"]
    labels[slices.MANAGED_LABEL] = MANAGER
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    made: Object = {
        "generateName": f"{meta['name']}-",
        "namespace": meta["namespace"],
        "labels": labels,
        "ownerReferences": [owners.new_controller_ref(endpoints, "v1", "Endpoints")],
    }
    if notes:
        made["annotations"] = notes
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": made,
        "addressType": family,
    }
