"""Endpoints of Services that select pods: deprecated, and still read by many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.controller import ControllerContext
from kubeinstall.controllers.endpoints import facts
from kubeinstall.controllers.endpoints.slices import ports_key
from kubeinstall.controllers.endpoints.watching import ServiceWatcher
from kubeinstall.errors import Forbidden, NotFound

ENDPOINTS = "v1/endpoints"
MANAGED_LABEL = "endpoints.kubernetes.io/managed-by"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGER = "endpoint-controller"
#: More addresses than this are left out, with an annotation that says so.
CAPACITY = 1000


class EndpointsController(ServiceWatcher):
    """Keys are `namespace/name` of Services, which is also the name of their Endpoints."""

    name: ClassVar[str] = "endpoints-controller"
    component: ClassVar[str] = "endpoint-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.workers = self.settings.concurrent_endpoint_syncs
        self._endpoints = self.informer(ENDPOINTS)
        self._endpoints.add_handler(self._endpoints_changed)

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            meta = old["metadata"]
            self.queue.add(f"{meta['namespace']}/{meta['name']}")
        elif old is None and new is not None and MANAGED_LABEL in owners.labels_of(new):
            # Left over from a Service that went while nobody watched.
            meta = new["metadata"]
            self.queue.add(f"{meta['namespace']}/{meta['name']}")

    async def reconcile(self, key: str) -> float | None:
        """Make the Endpoints of one Service right."""
        service = self.services.get_key(key)
        current = self._endpoints.get_key(key)
        if service is None:
            await self._remove(current)
            return None
        if not facts.selects_pods(service):
            return None
        wanted = self._wanted(service)
        if current is None:
            try:
                await self.client.create(ENDPOINTS, wanted)
            except Forbidden as error:
                if not namespace_terminating(error):
                    raise
            return None
        meta = current["metadata"]
        notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k != OVER_CAPACITY}
        notes |= wanted["metadata"].get("annotations") or {}
        labels = wanted["metadata"]["labels"]
        same = (
            _comparable(current.get("subsets")) == _comparable(wanted["subsets"])
            and owners.labels_of(current) == labels
            and (meta.get("annotations") or {}) == notes
        )
        if not same:
            changed = {**meta, "labels": labels, "annotations": notes}
            await self.client.update(
                ENDPOINTS, {**current, "metadata": changed, "subsets": wanted["subsets"]}
            )
        return None

    async def _remove(self, current: Object | None) -> None:
        """The Service is gone: so are the Endpoints that were made for it."""
        if current is None or owners.labels_of(current).get(MANAGED_LABEL) != MANAGER:
            return
        meta = current["metadata"]
        try:
            await self.client.delete(ENDPOINTS, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            return

    def _wanted(self, service: Object) -> Object:
        meta = service["metadata"]
        labels = {**(meta.get("labels") or {}), MANAGED_LABEL: MANAGER}
        labels.pop(facts.HEADLESS_LABEL, None)
        if facts.headless(service):
            labels[facts.HEADLESS_LABEL] = ""
        entries = self._entries(service)
        made: Object = {"name": meta["name"], "namespace": meta["namespace"], "labels": labels}
        if len(entries) > CAPACITY:
            made["annotations"] = {OVER_CAPACITY: "truncated"}
            # Ready ones are worth more than others.
            entries = sorted(entries, key=lambda entry: not entry[0])[:CAPACITY]
        return {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": made,
            "subsets": _subsets(entries),
        }

    def _entries(self, service: Object) -> list[tuple[bool, Object, list[Object]]]:
        """(ready, address, ports) of each pod."""
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        family = facts.families(service)[0]
        entries = []
        for pod in self.selected(service):
            ip = facts.pod_ip(pod, family)
            if not ip or not facts.belongs(pod, terminating=publish):
                continue
            ports = facts.ports(service, pod)
            if service["spec"].get("ports") and not ports:
                continue
            address: Object = {"ip": ip, "targetRef": facts.target(pod)}
            if node := pods.node_name(pod):
                address["nodeName"] = node
            if name := facts.hostname(pod, service):
                address["hostname"] = name
            entries.append((publish or pods.ready(pod), address, ports))
        return entries


@dataclass(slots=True)
class _Group:
    ports: list[Object]
    ready: list[Object] = field(default_factory=list)
    not_ready: list[Object] = field(default_factory=list)


def _subsets(entries: list[tuple[bool, Object, list[Object]]]) -> list[Object]:
    """Addresses with the same ports together, each list in order of address."""
    groups: dict[bytes, _Group] = {}
    for ready, address, ports in entries:
        group = groups.setdefault(ports_key(ports), _Group(ports))
        (group.ready if ready else group.not_ready).append(address)
    subsets = []
    for key in sorted(groups):
        group = groups[key]
        made = {
            "addresses": sorted(group.ready, key=_ip),
            "notReadyAddresses": sorted(group.not_ready, key=_ip),
            "ports": [_unnamed(port) for port in group.ports],
        }
        subsets.append({name: listed for name, listed in made.items() if listed})
    return subsets


def _ip(address: Object) -> str:
    return str(address["ip"])


def _unnamed(port: Object) -> Object:
    return {name: value for name, value in port.items() if value != ""}


def _comparable(subsets: list[Object] | None) -> list[Object]:
    return subsets or []
