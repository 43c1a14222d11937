"""The node's heartbeat: a Lease in kube-node-lease, renewed every quarter of its duration."""

from __future__ import annotations

import asyncio

from kubeinstall.api.times import now_micro
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

LEASES = "coordination.k8s.io/v1/leases"
NAMESPACE = "kube-node-lease"
_RETRY_FIRST, _RETRY_CAP = 0.2, 7.0


class Heartbeat:
    """Renews until cancelled; `node` gives the Node object once there is one."""

    def __init__(self, client: ApiClient, name: str, duration: int) -> None:
        self._client = client
        self._name = name
        self._duration = duration
        self._lease: Object | None = None
        self.node: Object | None = None

    async def run(self) -> None:
        """Renew every quarter of the duration, sooner after a failure."""
        pause = _RETRY_FIRST
        while True:
            try:
                await self._renew()
            except StatusError as error:
                log.debug("Lease not renewed", error=str(error))
                if isinstance(error, (Conflict, NotFound)):
                    self._lease = None
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_CAP)
                continue
            pause = _RETRY_FIRST
            await asyncio.sleep(self._duration / 4)

    async def _renew(self) -> None:
        if self._lease is None:
            self._lease = await self._get_or_create()
            return
        lease = {**self._lease, "spec": self._spec()}
        self._own(lease)
        self._lease = await self._client.update(LEASES, lease)

    async def _get_or_create(self) -> Object:
        try:
            lease = await self._client.get(LEASES, self._name, NAMESPACE)
        except NotFound:
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": NAMESPACE},
                "spec": self._spec(),
            }
            self._own(lease)
            try:
                return await self._client.create(LEASES, lease)
            except AlreadyExists:
                lease = await self._client.get(LEASES, self._name, NAMESPACE)
        lease["spec"] = self._spec()
        self._own(lease)
        return await self._client.update(LEASES, lease)

    def _spec(self) -> Object:
        return {
            "holderIdentity": self._name,
            "leaseDurationSeconds": self._duration,
            "renewTime": now_micro(),
        }

    def _own(self, lease: Object) -> None:
        """The Node owns its lease, so that it goes when the Node goes."""
        if self.node is None or lease["metadata"].get("ownerReferences"):
            return
        lease["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": self._name,
                "uid": self.node["metadata"]["uid"],
            }
        ]
