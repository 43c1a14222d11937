"""Writes to the API server what became of pods that were not placed: condition, event, preemption."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder
from kubeinstall.errors import NotFound, StatusError
from kubeinstall.runtime.logs import get_logger
from kubeinstall.scheduler.pod import PodInfo
from kubeinstall.scheduler.preemption import Candidate

log = get_logger("kube-scheduler")

PODS = "v1/pods"
_BACKLOG = 4096


@dataclass(slots=True)
class Outcome:
    """A pod that was not placed; `candidate` says who must go for it.

    `give_up`: the node that was kept for the pod no longer helps.
    """

    pod: PodInfo
    reason: str
    message: str
    candidate: Candidate | None = None
    give_up: bool = False


class OutcomeWriter:
    """A bounded queue of outcomes; when it is full the oldest news is dropped, the next try renews it."""

    def __init__(
        self,
        client: ApiClient,
        recorder: EventRecorder,
        scheduler: Callable[[PodInfo], str],
        lost: Callable[[PodInfo], None],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._scheduler = scheduler
        self._lost = lost
        self._queue: asyncio.Queue[Outcome] = asyncio.Queue(_BACKLOG)

    def put(self, outcome: Outcome) -> None:
        """Write this when there is time."""
        self._recorder.event(
            outcome.pod.obj, "Warning", "FailedScheduling", outcome.message, action="Scheduling"
        )
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(outcome)

    async def run(self, workers: int = 8) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(), name=f"outcome {number}")

    async def _work(self) -> None:
        while True:
            outcome = await self._queue.get()
            try:
                await self._write(outcome)
            except NotFound:
                continue
            except StatusError as error:
                log.warning("Outcome not written", pod=outcome.pod.key, error=str(error))
                if outcome.candidate is not None:
                    self._lost(outcome.pod)

    async def _write(self, outcome: Outcome) -> None:
        if outcome.candidate is not None:
            await self._evict(outcome.pod, outcome.candidate)
        patch = condition_patch(
            outcome.pod,
            outcome.reason,
            outcome.message,
            outcome.candidate,
            give_up=outcome.give_up,
        )
        if patch:
            await self._client.patch(
                PODS, outcome.pod.name, patch, outcome.pod.namespace, "strategic", "status"
            )

    async def _evict(self, pod: PodInfo, candidate: Candidate) -> None:
        """All victims, also when one of them fails; the first failure is raised afterwards."""
        results = await asyncio.gather(
            *(self._evict_one(pod, victim, candidate.node) for victim in candidate.victims),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _evict_one(self, pod: PodInfo, victim: PodInfo, node: str) -> None:
        scheduler = self._scheduler(pod)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{scheduler}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": times.now(),
        }
        try:
            await self._client.patch(
                PODS,
                victim.name,
                {"status": {"conditions": [condition]}},
                victim.namespace,
                "strategic",
                "status",
            )
            await self._client.delete(PODS, victim.name, victim.namespace, uid=victim.uid)
        except NotFound:
            return
        message = f"Preempted by pod {pod.uid} on node {node}"
        self._recorder.event(victim.obj, "Normal", "Preempted", message, action="Preempting")
        log.info("Pod preempted", victim=victim.key, preemptor=pod.key, node=node)


def condition_patch(
    pod: PodInfo,
    reason: str,
    message: str,
    candidate: Candidate | None,
    *,
    give_up: bool = False,
) -> dict[str, Any]:
    """The status patch, empty when the pod already says so; `give_up` takes the nomination back."""
    conditions = (pod.obj.get("status") or {}).get("conditions") or []
    old: Object = next((c for c in conditions if c.get("type") == "PodScheduled"), {})
    status: dict[str, Any] = {}
    if (old.get("status"), old.get("reason"), old.get("message")) != ("False", reason, message):
        kept = old.get("lastTransitionTime") if old.get("status") == "False" else None
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": reason,
                "message": message,
                "lastProbeTime": None,
                "lastTransitionTime": kept or times.now(),
                "observedGeneration": pod.obj["metadata"].get("generation"),
            }
        ]
        if status["conditions"][0]["observedGeneration"] is None:
            del status["conditions"][0]["observedGeneration"]
    if candidate is not None and candidate.node != pod.nominated:
        status["nominatedNodeName"] = candidate.node
    elif give_up and pod.nominated:
        status["nominatedNodeName"] = None
    return {"status": status} if status else {}
