"""kube-scheduler: finds nodes for pods."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import ClassVar

from kubeinstall.client import ApiClient, EventRecorder, InformerSet, LeaderElector
from kubeinstall.client.leader import host_identity
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.settings import Settings
from kubeinstall.scheduler.binder import Binder
from kubeinstall.scheduler.config import SchedulerSettings, read_profiles
from kubeinstall.scheduler.defaults import DefaultSpread
from kubeinstall.scheduler.evaluate import Evaluator
from kubeinstall.scheduler.feed import Feed, Sources
from kubeinstall.scheduler.loop import DecisionLoop, Metrics, Parts
from kubeinstall.scheduler.outcome import OutcomeWriter
from kubeinstall.scheduler.preemption import Preemption
from kubeinstall.scheduler.queue import SchedulingQueue
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.tls import server_context
from kubeinstall.scheduler.volumes import VolumePlugin


class Scheduler(Component[SchedulerSettings]):
    """Watches pods without a node and gives them one. Identity: system:kube-scheduler."""

    name = "kube-scheduler"
    settings_type: ClassVar[type[Settings]] = SchedulerSettings

    def __init__(self, settings: SchedulerSettings, context: ComponentContext) -> None:
        super().__init__(settings, context)
        self._metrics = Metrics(context.metrics)
        self._leading = False

    async def run(self) -> None:
        """Serve health, wait for the lease if there is to be one, then schedule until cancelled."""
        names = read_profiles(self.settings.config)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ApiClient.from_kubeconfig(self.settings.kubeconfig, user_agent="kube-scheduler")
            )
            port = self.settings.secure_port or -1
            tls = server_context(self.settings) if port > 0 else None
            await stack.enter_async_context(
                serve_endpoints(self.context, self.settings.bind_address, port, tls=tls)
            )
            # A scheduler that waits for the lease is as healthy as one that has it.
            self.context.health.add_check("leaderElection", lambda: None, live=True)
            self.context.ready()
            if not self.settings.leader_elect:
                await self._schedule(client, names)
                return
            elector = LeaderElector(client, "kube-scheduler", host_identity())
            await elector.run(lambda: self._schedule(client, names))

    async def _schedule(self, client: ApiClient, names: frozenset[str]) -> None:
        state = ClusterState()
        queue = SchedulingQueue()
        informers = InformerSet(client)
        sources = Sources.open(informers)
        recorder = EventRecorder(client, min(names))
        feed = Feed(state, queue, names)
        volumes = VolumePlugin(
            state, sources.claims, sources.volumes, sources.classes, feed.claim_users
        )
        owners = {
            "replicasets": sources.replica_sets,
            "statefulsets": sources.stateful_sets,
            "replicationcontrollers": sources.replication_controllers,
        }
        evaluator = Evaluator(state, volumes, DefaultSpread(sources.services, owners))
        outcomes = OutcomeWriter(client, recorder, lambda pod: pod.scheduler, feed.preemption_lost)
        loop = DecisionLoop(
            Parts(
                state,
                queue,
                evaluator,
                Preemption(state, evaluator, sources.budgets.list),
                volumes,
                outcomes,
                self._metrics,
            )
        )
        binder = Binder(
            client, recorder, volumes, sources.claims, loop.bound, self.settings.bind_timeout
        )
        feed.connect(sources, binder.claims_changed)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="scheduler informers")
                await informers.wait_synced()
                self.log.info("Scheduling", nodes=len(state.matrix.nodes), **queue.lengths())
                group.create_task(recorder.run(), name="scheduler events")
                group.create_task(outcomes.run(), name="scheduler outcomes")
                group.create_task(binder.run(self.settings.binders), name="scheduler binder")
                group.create_task(loop.run(binder), name="scheduler loop")
        finally:
            queue.close()
