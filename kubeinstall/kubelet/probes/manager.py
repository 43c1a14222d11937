"""One task for each probe of each container (upstream's prober manager and workers).

A prober waits for its container to run, keeps `initialDelaySeconds`, then tries every
`periodSeconds`. Liveness and readiness wait for the startup probe; after liveness or startup failed the
prober holds until the container is a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.client import EventRecorder
from kubeinstall.kubelet.cri import CRI
from kubeinstall.kubelet.cri.types import RUNNING, ContainerStatus
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.probes.handlers import Outcome, try_probe
from kubeinstall.kubelet.runtime import Runtime

KINDS = {"startup": "startupProbe", "readiness": "readinessProbe", "liveness": "livenessProbe"}
_WORDS = {"startup": "Startup", "readiness": "Readiness", "liveness": "Liveness"}
_ATTEMPTS = 3
_RESTART_JITTER_AFTER = 10.0

Key = tuple[str, str, str]
"""(uid, container name, kind)."""


@dataclass(slots=True)
class _Prober:
    task: asyncio.Task[None]
    wake: asyncio.Event


class ProbeManager:
    """Results by container id, and the tasks that find them."""

    def __init__(
        self,
        cri: CRI,
        recorder: EventRecorder,
        runtime: Runtime,
        on_change: Callable[[str], None],
    ) -> None:
        self._cri = cri
        self._recorder = recorder
        self._runtime = runtime
        self._on_change = on_change
        self._probers: dict[Key, _Prober] = {}
        self._results: dict[tuple[str, str], bool] = {}
        self._pods: dict[str, Object] = {}
        self._stopping: set[str] = set()
        self._born = time.monotonic()
        self.counts: dict[tuple[str, str], int] = {}

    def has(self, uid: str, container: str, kind: str) -> bool:
        """Whether a prober of that kind runs for the container."""
        return (uid, container, kind) in self._probers

    def result(self, uid: str, container_id: str, kind: str) -> bool | None:
        """The present verdict on one container."""
        return self._results.get((container_id, kind))

    def update(self, pod: Object) -> None:
        """Start the probers that the pod's containers lack."""
        uid = spec.uid(pod)
        if uid not in self._pods:
            self._adopt(pod)
        self._pods[uid] = pod
        sidecars = [c for c in spec.init_containers(pod) if spec.is_sidecar(c)]
        for container in (*sidecars, *spec.containers(pod)):
            for kind, member in KINDS.items():
                key = (uid, container["name"], kind)
                if container.get(member) and key not in self._probers:
                    self._start(key)

    def _adopt(self, pod: Object) -> None:
        """A container that ran before this kubelet keeps the verdicts that the API knows.

        Otherwise each restart of the kubelet would take pods out of service until their next probe.
        """
        status = pod.get("status") or {}
        for entry in (
            *(status.get("containerStatuses") or []),
            *(status.get("initContainerStatuses") or []),
        ):
            container_id = str(entry.get("containerID") or "").partition("://")[2]
            current = self._runtime.get(spec.uid(pod)).by_id(container_id)
            if current is None or current.state != RUNNING:
                continue
            if entry.get("started"):
                self._results.setdefault((container_id, "startup"), True)
            if entry.get("ready"):
                self._results.setdefault((container_id, "readiness"), True)

    def wake(self, uid: str) -> None:
        """The pod's containers changed: probers need not wait out their period."""
        for key, prober in self._probers.items():
            if key[0] == uid:
                prober.wake.set()

    def stop_liveness(self, uid: str) -> None:
        """The pod is being ended: only readiness still matters."""
        self._stopping.add(uid)
        for key in [k for k in self._probers if k[0] == uid and k[2] != "readiness"]:
            self._probers.pop(key).task.cancel()

    def remove(self, uid: str) -> None:
        """The pod is over."""
        for key in [k for k in self._probers if k[0] == uid]:
            self._probers.pop(key).task.cancel()
        self._pods.pop(uid, None)
        self._stopping.discard(uid)

    def forget(self, alive: set[str]) -> None:
        """Drop results of containers that are gone."""
        for key in [k for k in self._results if k[0] not in alive]:
            del self._results[key]

    async def close(self) -> None:
        """Stop all probers."""
        tasks = [prober.task for prober in self._probers.values()]
        self._probers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Key) -> None:
        wake = asyncio.Event()
        task = asyncio.create_task(self._run(key, wake), name=f"probe {' '.join(key)}")
        self._probers[key] = _Prober(task, wake)

    def _set(self, uid: str, container_id: str, kind: str, *, value: bool) -> None:
        if self._results.get((container_id, kind)) != value:
            self._results[container_id, kind] = value
            self._on_change(uid)

    async def _run(self, key: Key, wake: asyncio.Event) -> None:
        uid, name, kind = key
        held = ""  # the container that failed for good
        run = _Run()
        if time.monotonic() - self._born < _RESTART_JITTER_AFTER:
            # After a restart of the kubelet all probers would fire at once.
            await asyncio.sleep(random.random() * min(1.0, self._period(key)))  # noqa: S311
        while True:
            container = self._container(uid, name)
            status = self._runtime.get(uid).container(name)
            if container is None:
                return
            pause: float | None = self._period(key)
            if status is None or status.state != RUNNING or status.id == held:
                if status is not None and status.state != RUNNING and kind == "readiness":
                    self._set(uid, status.id, kind, value=False)
                pause = None  # woken by the container's next change
            else:
                if run.container_id != status.id:
                    run = _Run(status.id)
                    if kind == "readiness":
                        self._results.setdefault((status.id, kind), False)
                delay = self._delay(container, kind, status)
                if delay > 0:
                    pause = delay
                elif self._may_try(uid, container, kind, status):
                    if await self._try(key, container, status, run):
                        held = status.id
                else:
                    pause = None
            wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await wake.wait()
                    if pause is not None and status is not None:
                        # Waking early is for changes of the container only.
                        await self._sleep_unless_changed(uid, name, status, pause)

    async def _sleep_unless_changed(
        self, uid: str, name: str, status: ContainerStatus, pause: float
    ) -> None:
        end = time.monotonic() + pause
        while time.monotonic() < end:
            current = self._runtime.get(uid).container(name)
            if current is None or (current.id, current.state) != (status.id, status.state):
                return
            await asyncio.sleep(min(0.2, max(0.0, end - time.monotonic())))

    def _container(self, uid: str, name: str) -> Object | None:
        pod = self._pods.get(uid)
        if pod is None:
            return None
        return next((c for c in spec.all_containers(pod) if c["name"] == name), None)

    def _period(self, key: Key) -> float:
        container = self._container(key[0], key[1]) or {}
        return float((container.get(KINDS[key[2]]) or {}).get("periodSeconds") or 10)

    def _delay(self, container: Object, kind: str, status: ContainerStatus) -> float:
        """Seconds until the first try is due."""
        initial = float(container[KINDS[kind]].get("initialDelaySeconds") or 0)
        return initial - (time.time() - status.started_at / 1e9)

    def _may_try(self, uid: str, container: Object, kind: str, status: ContainerStatus) -> bool:
        if not container.get("startupProbe"):
            return True
        started = self._results.get((status.id, "startup")) is True
        return not started if kind == "startup" else started

    async def _try(self, key: Key, container: Object, status: ContainerStatus, run: _Run) -> bool:
        """One round; True when the prober must hold until the container is another one."""
        uid, name, kind = key
        probe = container[KINDS[kind]]
        ips = self._runtime.get(uid).ips
        pod = self._pods[uid]
        ip = ips[0] if ips else ""
        if spec.host_network(pod):
            ip = (pod.get("status") or {}).get("podIP") or ip or "127.0.0.1"
        outcome, text = Outcome.UNKNOWN, ""
        for _ in range(_ATTEMPTS):
            outcome, text = await try_probe(self._cri, container, status.id, probe, ip)
            if outcome is not Outcome.UNKNOWN:
                break
        self._count(kind, outcome)
        self._tell(pod, container, kind, outcome, text)
        if outcome is Outcome.UNKNOWN:
            return False
        success = outcome in (Outcome.SUCCESS, Outcome.WARNING)
        run.note(success=success)
        threshold = int(probe.get("successThreshold" if success else "failureThreshold") or 0)
        if run.streak < (threshold or (1 if success else 3)):
            return False
        current = self._runtime.get(uid).container(name)
        if current is None or current.id != status.id:
            return False
        self._set(uid, status.id, kind, value=success)
        if kind == "startup" and success:
            self.wake(uid)
        return not success and kind != "readiness"

    def _tell(self, pod: Object, container: Object, kind: str, outcome: Outcome, text: str) -> None:
        path = spec.field_path(pod, container)
        word = _WORDS[kind]
        if outcome is Outcome.FAILURE:
            message = f"{word} probe failed: {text}"
            self._recorder.event(pod, "Warning", "Unhealthy", message, field_path=path)
        elif outcome is Outcome.UNKNOWN:
            message = f"{word} probe errored and resulted in unknown state: {text}"
            self._recorder.event(pod, "Warning", "Unhealthy", message, field_path=path)
        elif outcome is Outcome.WARNING:
            message = f"{word} probe warning: {text}"
            self._recorder.event(pod, "Warning", "ProbeWarning", message, field_path=path)

    def _count(self, kind: str, outcome: Outcome) -> None:
        word = "successful" if outcome in (Outcome.SUCCESS, Outcome.WARNING) else "failed"
        word = "unknown" if outcome is Outcome.UNKNOWN else word
        self.counts[_WORDS[kind], word] = self.counts.get((_WORDS[kind], word), 0) + 1


@dataclass(slots=True)
class _Run:
    """The present streak of equal outcomes of one container."""

    container_id: str = ""
    streak: int = 0
    last: bool | None = None

    def note(self, *, success: bool) -> None:
        """Count an outcome."""
        self.streak = self.streak + 1 if self.last == success else 1
        self.last = success
