"""Keeping the mirrors of static pods in the API: made when missing, made again when wrong, removed with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists, NotFound, StatusError
from kubeinstall.kubelet import names
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.sources.static import StaticPods, mirror_of
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

PODS = "v1/pods"
_PERIOD = 10.0


class Mirrors:
    """`wake()` when a static pod or a mirror changed."""

    def __init__(
        self,
        client: ApiClient,
        manager: PodManager,
        static: StaticPods,
        node: Callable[[], Object | None],
    ) -> None:
        self._client = client
        self._manager = manager
        self._static = static
        self._node = node
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._reconcile()
            except StatusError as error:
                log.debug("Mirror pods not brought up to date", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await self._wake.wait()

    async def _reconcile(self) -> None:
        wanted = {spec.full_name(pod): pod for pod in self._static.pods()}
        present = dict(self._manager.mirrors)
        for name, mirror in list(present.items()):
            pod = wanted.get(name)
            if pod is None or not _matches(pod, mirror) or spec.deleted(mirror):
                await self._remove(mirror)
                present.pop(name, None)
        if self._node() is None:
            return
        for name, pod in wanted.items():
            if name not in present and name not in self._manager.mirrors:
                with contextlib.suppress(AlreadyExists):
                    created = await self._client.create(PODS, mirror_of(pod, self._node()))
                    self._manager.mirrors[name] = created
                self._manager.parts.status.redeliver(spec.uid(pod))

    async def _remove(self, mirror: Object) -> None:
        meta = mirror["metadata"]
        with contextlib.suppress(NotFound):
            await self._client.delete(
                PODS, meta["name"], meta.get("namespace"), grace_period_seconds=0, uid=meta["uid"]
            )
        self._manager.mirrors.pop(spec.full_name(mirror), None)


def _matches(pod: Object, mirror: Object) -> bool:
    marks = spec.pod_annotations(mirror)
    return marks.get(names.CONFIG_MIRROR) == spec.pod_annotations(pod).get(names.CONFIG_HASH)
