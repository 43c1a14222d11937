"""One worker a pod: brings the pod from what it is to what it should be, serially, as often as woken.

    syncing ──(deleted, over, evicted)──▶ terminating ──(nothing runs)──▶ terminated

A worker never trusts what it did before: each round starts from the pod and the runtime's state.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.times import parse
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.kubelet.admission import Refused, admit
from kubeinstall.kubelet.cgroups.manager import CgroupProblem
from kubeinstall.kubelet.containers.kill import kill_pod
from kubeinstall.kubelet.containers.sandboxes import SandboxProblem
from kubeinstall.kubelet.containers.sync import Outcome, sync_containers
from kubeinstall.kubelet.cri import CRIError
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.status import Verdict, make_status
from kubeinstall.kubelet.resizing import Resizing
from kubeinstall.kubelet.volumes.manager import Mounted, VolumeProblem
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

SYNC, TERMINATING, TERMINATED = "syncing", "terminating", "terminated"
_RETRY_FIRST, _RETRY_CAP = 0.5, 10.0
_VOLUME_RETRY_CAP = 122.0
_RESIZE_RETRY = 5.0


@dataclass(slots=True)
class Killing:
    """Why a pod must end though its API object lives: the status it gets, and its grace (None: the pod's own)."""

    verdict: Verdict | None
    grace: int | None = None


class PodWorker:
    """`wake()` after anything changed. `siblings()` gives the other pods that count for admission."""

    def __init__(
        self,
        parts: Parts,
        pod: Object,
        *,
        siblings: Callable[[], list[Object]],
        on_terminated: Callable[[str], None],
        orphan: bool = False,
    ) -> None:
        self.parts = parts
        self.desired = pod
        self.pod = parts.allocations.view(pod)
        self.uid = spec.uid(pod)
        self.phase = SYNC
        self.orphan = orphan
        self.killing: Killing | None = None
        self.reasons: dict[str, tuple[str, str]] = {}
        self.gone_from_api = orphan
        self._siblings = siblings
        self._on_terminated = on_terminated
        self._admitted = False
        self.resizing = Resizing(parts, siblings)
        self._wake = asyncio.Event()
        self._wake.set()
        self._refresh = False
        self._step: asyncio.Task[float | None] | None = None
        self._pause = _RETRY_FIRST
        self._volume_pause = _RETRY_FIRST
        self.task = asyncio.create_task(self._run(), name=f"pod {spec.full_name(pod)}")

    # What others tell the worker.

    def wake(self) -> None:
        """Look again."""
        self._wake.set()

    def refresh_volumes(self) -> None:
        """An object that the pod's volumes show has changed."""
        self._refresh = True
        self._wake.set()

    def update(self, pod: Object) -> None:
        """A new version of the pod."""
        changed = _grace(pod) != _grace(self.pod)
        if _shown(pod) != _shown(self.pod):
            self._refresh = True  # downward API volumes show them
        self.desired = pod
        self.pod = self.parts.allocations.view(pod)
        if spec.deleted(pod) and (self.phase == SYNC or changed):
            self._interrupt()
        self._wake.set()

    def end(self, killing: Killing) -> None:
        """End the pod for a reason of the node's."""
        if self.phase == SYNC and self.killing is None:
            self.killing = killing
            self._interrupt()
            self._wake.set()

    def removed(self) -> None:
        """The API object is gone (or the manifest): stop everything."""
        self.gone_from_api = True
        self._interrupt()
        self._wake.set()

    def _interrupt(self) -> None:
        """End a step under way: what it waits for (a hook, a pull) does not matter any more."""
        if self._step is not None and not self._step.done():
            self._step.cancel()

    # The loop.

    async def _run(self) -> None:
        pause: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            self._step = asyncio.create_task(self._guarded(), name=f"{self.phase} {self.uid}")
            try:
                pause = await self._step
            except asyncio.CancelledError:
                if not self._step.cancelled():
                    self._step.cancel()
                    await asyncio.gather(self._step, return_exceptions=True)
                    raise
                current = asyncio.current_task()
                if current is not None and current.cancelling():
                    raise
                self._wake.set()
                pause = None
            if self.phase == TERMINATED and pause is None:
                return

    async def _guarded(self) -> float | None:
        """One step; seconds until the next, None to wait for a wake."""
        try:
            again = await self._next()
            self._pause = _RETRY_FIRST
            return again
        except (CRIError, SandboxProblem, CgroupProblem, StatusError, OSError) as error:
            self._failed(error)
        except KubeinstallError as error:
            self._failed(error)
        except Exception:
            log.exception("Pod step failed", pod=spec.title(self.pod), phase=self.phase)
        with contextlib.suppress(CRIError):
            await self.parts.runtime.refresh(self.uid)
        if self.phase == SYNC:
            self._report()
        pause, self._pause = self._pause, min(self._pause * 2, _RETRY_CAP)
        return pause

    def _failed(self, error: Exception) -> None:
        log.info("Pod step failed", pod=spec.title(self.pod), phase=self.phase, error=str(error))
        if self.phase == TERMINATING:
            text = f"error killing pod: {error}"
            self.parts.recorder.event(self.pod, "Warning", "FailedKillPod", text)
        elif isinstance(error, CgroupProblem):
            self.parts.recorder.event(
                self.pod,
                "Warning",
                "FailedCreatePodContainer",
                f"unable to ensure pod container exists: {error}",
            )

    async def _next(self) -> float | None:
        if self.phase == SYNC and self._must_end():
            self.phase = TERMINATING
            self.parts.probes.stop_liveness(self.uid)
        if self.phase == SYNC:
            return await self._sync()
        if self.phase == TERMINATING:
            return await self._terminate()
        return await self._clean()

    def _must_end(self) -> bool:
        if self.orphan or self.gone_from_api or self.killing or spec.deleted(self.pod):
            return True
        status = self.parts.status.get(self.pod)
        return status.get("phase") in ("Succeeded", "Failed")

    # Syncing.

    async def _sync(self) -> float | None:
        parts, pod = self.parts, self.pod
        over = self._deadline_verdict()
        if over is not None:
            self.killing = Killing(over)
            self._wake.set()
            return None
        if not self._admitted and not await self._admit():
            self._wake.set()
            return None
        pod = self.pod = self.resizing.allocate(self.desired)
        # Before the first report: a container whose probes nobody runs yet would count as ready.
        parts.probes.update(pod)
        status = self._report()
        if status.get("phase") in ("Succeeded", "Failed"):
            self._wake.set()
            return None
        if not parts.network_ready and not spec.host_network(pod):
            text = f"network is not ready: {parts.network_message}"
            parts.recorder.event(pod, "Warning", "NetworkNotReady", text)
            return 1.0
        resizing = parts.allocations.in_progress(pod)
        await parts.cgroups.ensure(pod, growing=resizing)
        if pod["spec"].get("resources") and not resizing:
            parts.allocations.set_actuated(self.uid, pod["spec"])
        folder = parts.paths.pod(self.uid)
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        volumes, retry = await self._volumes()
        if volumes is None:
            return retry
        outcome = Outcome()
        try:
            await sync_containers(parts, pod, volumes, outcome)
            await self.resizing.apply(pod, outcome, self._report)
        finally:
            self.reasons = outcome.reasons
        if outcome.acted:
            await parts.runtime.refresh(self.uid)
            parts.probes.wake(self.uid)
            self._wake.set()  # compute again from what is there now
        self._report()
        return self._next_wake(outcome.wake_after)

    def _next_wake(self, wanted: float | None) -> float | None:
        deadline = self._deadline_left()
        times = [t for t in (wanted, deadline) if t is not None]
        if self.parts.volumes.is_set_up(self.uid) and _has_token(self.pod):
            times.append(60.0)
        return max(0.05, min(times)) if times else None

    async def _admit(self) -> bool:
        """Whether the node takes the pod; one whose containers exist was taken before."""
        runtime = self.parts.runtime.get(self.uid)
        if runtime.containers or runtime.sandboxes:
            self._admitted = True
            return True
        try:
            await admit(self.pod, self._siblings(), self.parts)
        except Refused as refused:
            self.parts.recorder.event(self.pod, "Warning", refused.reason, refused.message)
            verdict = Verdict("Failed", refused.reason, f"Pod was rejected: {refused.message}")
            self.killing = Killing(verdict)
            return False
        self._admitted = True
        self.parts.allocations.allocate(self.desired)
        return True

    async def _volumes(self) -> tuple[dict[str, Mounted] | None, float | None]:
        parts, pod = self.parts, self.pod
        try:
            volumes = await parts.volumes.set_up(pod)
            if self._refresh or parts.volumes.due(self.uid):
                self._refresh = False
                await parts.volumes.refresh(pod)
        except VolumeProblem as error:
            parts.recorder.event(pod, "Warning", "FailedMount", str(error))
            if parts.runtime.get(self.uid).running():
                log.info("Volume not refreshed", pod=spec.title(pod), error=str(error))
                return dict(parts.volumes.known(self.uid)), None
            pause = self._volume_pause
            self._volume_pause = min(pause * 2, _VOLUME_RETRY_CAP)
            return None, pause
        self._volume_pause = _RETRY_FIRST
        return dict(volumes), None

    def _deadline_left(self) -> float | None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        started = self.parts.status.get(self.pod).get("startTime")
        if limit is None or not started:
            return None
        return float(limit) - (time.time() - parse(started).timestamp())

    def _deadline_verdict(self) -> Verdict | None:
        left = self._deadline_left()
        if left is None or left > 0:
            return None
        text = "Pod was active on the node longer than the specified deadline"
        self.parts.recorder.event(self.pod, "Normal", "DeadlineExceeded", text)
        return Verdict("Failed", "DeadlineExceeded", text)

    def _report(self, *, terminal: bool = False) -> Object:
        """Make the status from what is there now, and have it delivered."""
        if self.orphan:
            return {}
        parts = self.parts
        status = make_status(
            self.pod,
            parts.runtime.get(self.uid),
            parts.status.get(self.pod),
            reasons=self.reasons,
            probes=parts.probes,
            host_ips=parts.node_ips,
            terminal=terminal,
            verdict=self.killing.verdict if self.killing else None,
            resize=self.resizing.state(self.pod),
        )
        parts.status.set(self.pod, status)
        return status

    # Ending.

    async def _terminate(self) -> float | None:
        parts = self.parts
        runtime = await parts.runtime.refresh(self.uid)
        self._report()
        grace = self.killing.grace if self.killing else None
        if self.gone_from_api and not self.orphan and grace is None:
            grace = min(spec.grace_seconds(self.pod), 30)
        if runtime.anything_alive:
            await kill_pod(parts, self.pod, runtime, grace)
            runtime = await parts.runtime.refresh(self.uid)
            if runtime.anything_alive:
                return 0.1
        parts.probes.remove(self.uid)
        self.phase = TERMINATED
        self.reasons = {}
        self._report(terminal=True)
        self._wake.set()
        return 0.0

    async def _clean(self) -> float | None:
        """Nothing runs: take away volumes and cgroup, then let the API object go."""
        parts = self.parts
        if spec.deleted(self.pod) or self.gone_from_api:
            for sandbox in parts.runtime.get(self.uid).sandboxes:
                await parts.cri.remove_sandbox(sandbox.id)
            await parts.runtime.refresh(self.uid)
        await parts.volumes.tear_down(self.uid)
        if not await parts.cgroups.remove(self.pod):
            return 0.5
        parts.crash_backoffs.forget(f"{self.uid}/")
        if not self.gone_from_api and spec.deleted(self.pod):
            parts.status.finish(self.pod)
        if spec.deleted(self.pod) or self.gone_from_api:
            self._on_terminated(self.uid)
            return None
        # Succeeded or Failed, and not deleted: stay to see the deletion.
        if self._wake.is_set():
            return 0.0
        await self._wake.wait()
        return 0.0


def _shown(pod: Object) -> object:
    return pod["metadata"].get("labels"), pod["metadata"].get("annotations")


def _grace(pod: Object) -> object:
    meta = pod["metadata"]
    return meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds")


def _has_token(pod: Object) -> bool:
    return any(
        source.get("serviceAccountToken")
        for volume in pod["spec"].get("volumes") or []
        for source in (volume.get("projected") or {}).get("sources") or []
    )
