"""The decision loop: takes pods from the queue one by one and decides, without waiting for anybody."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from kubeinstall.runtime.logs import get_logger
from kubeinstall.scheduler.binder import Binder, Order
from kubeinstall.scheduler.evaluate import Evaluator
from kubeinstall.scheduler.outcome import Outcome, OutcomeWriter
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.preemption import Preemption
from kubeinstall.scheduler.queue import POD_PLACED, SchedulingQueue, Waiting
from kubeinstall.scheduler.state import ClusterState
from kubeinstall.scheduler.verdict import Diagnosis
from kubeinstall.scheduler.volumes import VolumePlugin

log = get_logger("kube-scheduler")

#: Decide for so long (seconds) before the event loop may do other things: watches, bindings.
_SLICE = 0.005


class Metrics:
    """Upstream's names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "scheduler_schedule_attempts",
            "Attempts to schedule pods, by result.",
            ["result"],
            registry=registry,
        )
        self.algorithm = Histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Seconds of one decision.",
            registry=registry,
            buckets=[0.00005 * 2**i for i in range(14)],
        )
        self.preemptions = Counter(
            "scheduler_preemption_victims_total", "Pods preempted.", registry=registry
        )


@dataclass(slots=True)
class Parts:
    """What the loop works with."""

    state: ClusterState
    queue: SchedulingQueue
    evaluator: Evaluator
    preemption: Preemption
    volumes: VolumePlugin
    outcomes: OutcomeWriter
    metrics: Metrics


class DecisionLoop:
    """`run` decides until cancelled; `bound` is told by the binder how each order ended."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._binder: Binder | None = None

    async def run(self, binder: Binder) -> None:
        """Decide until cancelled."""
        self._binder = binder
        queue = self._parts.queue
        began = time.perf_counter()
        while True:
            waiting = await queue.pop()
            await self._decide(waiting)
            if time.perf_counter() - began > _SLICE:
                await asyncio.sleep(0)
                began = time.perf_counter()

    def bound(self, order: Order, error: str) -> None:
        """An order ended: well, or with an error to tell and to try again after."""
        parts, pod = self._parts, order.waiting.pod
        if not error:
            parts.queue.remove(pod.key)
            parts.metrics.attempts.labels("scheduled").inc()
            parts.queue.happened(POD_PLACED)
            return
        parts.metrics.attempts.labels("error").inc()
        if pod.key in parts.state.assumed:
            parts.state.forget(pod.key)
        if parts.queue.known(pod.key):
            log.warning("Binding failed", pod=pod.key, node=order.node, error=error)
            parts.outcomes.put(Outcome(pod, "SchedulerError", error))
            parts.queue.errored(order.waiting)

    async def _decide(self, waiting: Waiting) -> None:
        parts, pod = self._parts, waiting.pod
        if pod.deleting or parts.state.where(pod.key):
            parts.queue.remove(pod.key)
            return
        started = time.perf_counter()
        choice = parts.evaluator.choose(pod)
        parts.metrics.algorithm.observe(time.perf_counter() - started)
        if not choice.node:
            self._refused(waiting, choice.diagnosis or Diagnosis(0))
            return
        plan = None
        if pod.claims:
            plan = parts.volumes.plan(pod, parts.state.matrix.nodes[choice.node])
            for volume, claim in plan.static if plan else []:
                meta = claim["metadata"]
                owner = f"{meta['namespace']}/{meta['name']}"
                parts.volumes.promised[volume["metadata"]["name"]] = owner
        parts.state.assume(pod, choice.node)
        if self._binder is not None:
            await self._binder.put(Order(waiting, choice.node, plan))

    def _refused(self, waiting: Waiting, diagnosis: Diagnosis) -> None:
        parts, pod = self._parts, waiting.pod
        parts.metrics.attempts.labels("unschedulable").inc()
        candidate = parts.preemption.find(pod, diagnosis)
        if candidate is not None:
            parts.metrics.preemptions.inc(len(candidate.victims))
            self._keep_room(pod, candidate.node)
        elif not diagnosis.waiting:
            parts.state.nominate(pod, "")
        parts.queue.failed(waiting, diagnosis.plugins)
        message = diagnosis.message()
        give_up = candidate is None and not diagnosis.waiting
        parts.outcomes.put(Outcome(pod, "Unschedulable", message, candidate, give_up))

    def _keep_room(self, pod: PodInfo, node: str) -> None:
        """Nominate; less important pods that were to get this node must look for another."""
        state = self._parts.state
        for other in list(state.nominations().get(node, {}).values()):
            if other.priority < pod.priority:
                state.nominate(other, "")
                self._parts.queue.activate(other.key)
        state.nominate(pod, node)
