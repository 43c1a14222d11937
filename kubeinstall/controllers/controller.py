"""What every controller is made of: its context and its base class."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import structlog

from kubeinstall.client import ApiClient, EventRecorder, Informer, InformerSet, WorkQueue
from kubeinstall.client.informer import Indexer, Transform, drop_managed_fields
from kubeinstall.client.metrics import QueueMetrics
from kubeinstall.controllers.common.slimming import TRANSFORMS
from kubeinstall.controllers.config import ControllerManagerSettings


@dataclass(slots=True)
class ControllerContext:
    """What the manager gives one controller.

    `client` writes with the controller's own identity; `informers` are shared by all controllers;
    `events` records as this controller.
    """

    client: ApiClient
    informers: InformerSet
    events: EventRecorder
    settings: ControllerManagerSettings
    queue_metrics: QueueMetrics | None = None


class Controller(ABC):
    """A control loop. `name` is upstream's, as in `--controllers`; events come from `component`."""

    name: ClassVar[str]
    #: The name that events carry as their source; upstream's is usually the controller's name.
    component: ClassVar[str] = ""

    def __init__(self, context: ControllerContext) -> None:
        self.client = context.client
        self.events = context.events
        self.settings = context.settings
        self.log = structlog.get_logger(self.name)
        self._context = context
        self._informers: list[Informer] = []

    def informer(
        self,
        gvr: str,
        indexers: Mapping[str, Indexer] | None = None,
        transform: Transform | None = None,
        *,
        metadata_only: bool = False,
    ) -> Informer:
        """The shared informer of a resource; `synced()` waits for it too.

        Pods and nodes are cut down (see `slimming`): patch them, never update them.
        """
        transform = transform or TRANSFORMS.get(gvr, drop_managed_fields)
        informer = self._context.informers.informer(
            gvr, indexers=indexers, transform=transform, metadata_only=metadata_only
        )
        self._informers.append(informer)
        return informer

    def new_queue(self, name: str = "", *, base: float = 0.005, cap: float = 60.0) -> WorkQueue:
        """A work queue with metrics, named after the controller unless told."""
        return WorkQueue(name or self.name, base=base, cap=cap, metrics=self._context.queue_metrics)

    async def synced(self) -> None:
        """Wait until every informer of this controller has its first list."""
        for informer in self._informers:
            await informer.wait_synced()

    @abstractmethod
    async def run(self) -> None:
        """Work until cancelled."""


class QueueController(Controller):
    """A controller with one work queue of `namespace/name` keys."""

    workers: int = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.queue = self.new_queue()

    async def run(self) -> None:
        """Wait for the informers, then reconcile keys until cancelled."""
        await self.synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run(self.reconcile, self.workers), name=self.name)

    @abstractmethod
    async def reconcile(self, key: str) -> float | None:
        """Bring the world in line with the object; a number asks to be called again."""
