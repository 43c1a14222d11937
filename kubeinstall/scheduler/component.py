"""kube-scheduler: finds nodes for pods."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from kubeinstall.client import ApiClient, EventRecorder, InformerSet, LeaderElector, kubeconfig
from kubeinstall.client.leader import host_identity
from kubeinstall.client.metrics import leader_status
from kubeinstall.client.transport import Transport
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
        settings = self.settings
        read = partial(kubeconfig.load, settings.kubeconfig)
        config = read()
        agent = f"{self.name}/leader-election"
        leases = ApiClient(config, agent, Transport(config, agent, read))
        port = settings.secure_port or -1
        tls = server_context(settings) if port > 0 else None
        health = serve_endpoints(self.context, settings.bind_address, port, tls=tls)
        async with leases, health:
            elector = LeaderElector(
                leases,
                settings.leader_elect_resource_name,
                host_identity(),
                settings.leader_elect_resource_namespace,
                lease_duration=settings.leader_elect_lease_duration,
                renew_deadline=settings.leader_elect_renew_deadline,
                retry_period=settings.leader_elect_retry_period,
                events=EventRecorder(leases, self.name),
            )
            # A scheduler that waits for the lease is as healthy as one that has it.
            self.context.health.add_check("leaderElection", elector.check, live=True)
            leader_status(self.context.metrics, self.name, elector.leading)
            self.context.ready()
            fence = elector.fence if settings.leader_elect else None

            async def work() -> None:
                transport = Transport(config, self.name, read, fence)
                async with ApiClient(config, self.name, transport) as client:
                    await self._schedule(client, names)

            if settings.leader_elect:
                await elector.run(work)
            else:
                await work()

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
