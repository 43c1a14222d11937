"""Tells the API server where pods go: volumes first, then the binding, several at a time.

The decision loop does not wait for this: a pod counts as placed from the moment it was chosen a node, and
is forgotten again if the binding fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.runtime.logs import get_logger
from kubeinstall.scheduler.queue import Waiting
from kubeinstall.scheduler.volumes import SELECTED_NODE, Store, VolumePlan, VolumePlugin

log = get_logger("kube-scheduler")

PODS, CLAIMS, VOLUMES = "v1/pods", "v1/persistentvolumeclaims", "v1/persistentvolumes"
_BACKLOG = 1024


class BindingFailed(KubeinstallError):
    """The pod could not be bound; the message is for its event."""


@dataclass(slots=True)
class Order:
    """A pod on its way to `node`."""

    waiting: Waiting
    node: str
    volumes: VolumePlan | None


class Binder:
    """Works through a bounded backlog of orders. `done(order, error)` is called for each."""

    def __init__(
        self,
        client: ApiClient,
        recorder: EventRecorder,
        volumes: VolumePlugin,
        claims: Store,
        done: Callable[[Order, str], None],
        timeout: float,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._volumes = volumes
        self._claims = claims
        self._done = done
        self._timeout = timeout
        self._orders: asyncio.Queue[Order] = asyncio.Queue(_BACKLOG)
        self._claim_changed = asyncio.Event()

    async def put(self, order: Order) -> None:
        """Hand over an order; waits while the backlog is full."""
        await self._orders.put(order)

    def claims_changed(self) -> None:
        """A claim was changed: who waits for one looks again."""
        self._claim_changed.set()
        self._claim_changed = asyncio.Event()

    async def run(self, workers: int) -> None:
        """Bind until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(group), name=f"binder {number}")

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            order = await self._orders.get()
            if order.volumes is not None and (order.volumes.static or order.volumes.provision):
                # Provisioning may take minutes: not on a worker's time.
                group.create_task(self._finish(order), name=f"volumes {order.waiting.pod.key}")
            else:
                await self._finish(order)

    async def _finish(self, order: Order) -> None:
        error = ""
        try:
            if order.volumes is not None:
                await self._bind_volumes(order, order.volumes)
            await self._bind(order)
        except (StatusError, BindingFailed) as failure:
            error = str(failure)
        finally:
            for volume, _ in order.volumes.static if order.volumes else []:
                self._volumes.promised.pop(volume["metadata"]["name"], None)
        self._done(order, error)

    async def _bind(self, order: Order) -> None:
        pod = order.waiting.pod
        binding: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"kind": "Node", "name": order.node},
        }
        await self._client.create(PODS, binding, subresource="binding")
        self._recorder.event(
            pod.obj,
            "Normal",
            "Scheduled",
            f"Successfully assigned {pod.namespace}/{pod.name} to {order.node}",
            action="Binding",
        )

    async def _bind_volumes(self, order: Order, plan: VolumePlan) -> None:
        for volume, claim in plan.static:
            await self._claim_volume(volume, claim)
        for claim in plan.provision:
            meta = claim["metadata"]
            patch = {"metadata": {"annotations": {SELECTED_NODE: order.node}}}
            await self._client.patch(CLAIMS, meta["name"], patch, meta["namespace"])
        names = [claim["metadata"]["name"] for _, claim in plan.static]
        names += [claim["metadata"]["name"] for claim in plan.provision]
        if names:
            await self._wait_bound(order, names)

    async def _claim_volume(self, volume: Object, claim: Object) -> None:
        meta = claim["metadata"]
        owner = volume["spec"].get("claimRef") or {}
        if owner.get("uid") == meta["uid"]:
            return
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion"),
        }
        patch = {
            "metadata": {
                "resourceVersion": volume["metadata"].get("resourceVersion"),
                "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
            },
            "spec": {"claimRef": reference},
        }
        await self._client.patch(VOLUMES, volume["metadata"]["name"], patch)

    async def _wait_bound(self, order: Order, names: list[str]) -> None:
        pod = order.waiting.pod
        try:
            async with asyncio.timeout(self._timeout):
                while not self._all_bound(order, names):
                    await self._claim_changed.wait()
        except TimeoutError as error:
            raise BindingFailed("binding volumes: context deadline exceeded") from error
        log.debug("Volumes bound", pod=pod.key, node=order.node)

    def _all_bound(self, order: Order, names: list[str]) -> bool:
        pod = order.waiting.pod
        for name in names:
            claim = self._claims.get(name, pod.namespace)
            if claim is None:
                raise BindingFailed(f'persistentvolumeclaim "{name}" not found')
            if (claim.get("status") or {}).get("phase") == "Bound":
                continue
            annotations = claim["metadata"].get("annotations") or {}
            provisioned_for = annotations.get(SELECTED_NODE)
            if provisioned_for not in (None, "", order.node):
                raise BindingFailed(f"claim {name} was given to node {provisioned_for}")
            return False
        return True
