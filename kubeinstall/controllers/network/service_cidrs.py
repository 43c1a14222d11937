"""ServiceCIDRs: Ready while they stay; on deletion they wait until no IPAddress needs them."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import conditions, owners
from kubeinstall.controllers.controller import ControllerContext, QueueController

CIDRS = "networking.k8s.io/v1/servicecidrs"
ADDRESSES = "networking.k8s.io/v1/ipaddresses"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
#: API servers must have seen that the CIDR is going before it may go, or one could still give out
#: an address of it.
GRACE_SECONDS = 10.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServiceCIDRController(QueueController):
    """Keys are names of ServiceCIDRs."""

    name: ClassVar[str] = "service-cidr-controller"
    component: ClassVar[str] = "service-cidr-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._cidrs = self.informer(CIDRS)
        self._addresses = self.informer(ADDRESSES)
        self._cidrs.add_handler(self._cidr_changed)
        self._addresses.add_handler(self._address_changed)

    def _cidr_changed(self, old: Object | None, new: Object | None) -> None:
        # A CIDR that comes or goes may free another that overlaps it.
        for cidr in self._cidrs.list():
            if cidr is new or owners.deleting(cidr):
                self.queue.add(key_of(cidr))

    def _address_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            for cidr in self._cidrs.list():
                if owners.deleting(cidr):
                    self.queue.add(key_of(cidr))

    async def reconcile(self, key: str) -> float | None:
        """Judge one ServiceCIDR."""
        cidr = self._cidrs.get_key(key)
        if cidr is None:
            return None
        meta = cidr["metadata"]
        finalizers = meta.get("finalizers") or []
        if not owners.deleting(cidr):
            if FINALIZER not in finalizers:
                changed = {**meta, "finalizers": [*finalizers, FINALIZER]}
                cidr = await self.client.update(CIDRS, {**cidr, "metadata": changed})
            await self._say(cidr, "True", "", "Kubernetes Service CIDR is ready")
            return None
        if FINALIZER not in finalizers:
            return None
        if not self._may_go(cidr):
            text = "There are still IPAddresses referencing the ServiceCIDR, please remove them or"
            await self._say(cidr, "False", "Terminating", f"{text} create a new ServiceCIDR")
            return None
        cidr = await self._say(cidr, "False", "Terminating", "ServiceCIDR is being deleted")
        ready = conditions.find((cidr.get("status") or {}).get("conditions"), "Ready") or {}
        waited = self._waited(ready)
        if waited < GRACE_SECONDS:
            return GRACE_SECONDS - waited
        kept = [name for name in finalizers if name != FINALIZER]
        changed = {**cidr["metadata"], "finalizers": kept}
        await self.client.update(CIDRS, {**cidr, "metadata": changed})
        return None

    def _waited(self, ready: Object) -> float:
        since = ready.get("lastTransitionTime")
        return times.unix(times.now()) - times.unix(since) if since else 0.0

    def _may_go(self, cidr: Object) -> bool:
        """No address lies only in this CIDR."""
        mine = _networks(cidr)
        others = [
            network
            for other in self._cidrs.list()
            if other is not cidr and not owners.deleting(other)
            for network in _networks(other)
        ]
        for address in self._addresses.list():
            ip = ipaddress.ip_address(address["metadata"]["name"])
            if any(ip in n for n in mine) and not any(ip in n for n in others):
                return False
        return True

    async def _say(self, cidr: Object, status: str, reason: str, message: str) -> Object:
        old = cidr.get("status") or {}
        made = conditions.make("Ready", status, reason, message)
        made.setdefault("reason", "")
        listed = conditions.set_condition(list(old.get("conditions") or []), made)
        if listed == (old.get("conditions") or []):
            return cidr
        return await self.client.update_status(CIDRS, {**cidr, "status": {"conditions": listed}})


def _networks(cidr: Object) -> list[Network]:
    return [ipaddress.ip_network(text) for text in cidr["spec"].get("cidrs") or ()]
