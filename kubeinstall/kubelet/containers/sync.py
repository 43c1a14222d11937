"""Bringing a pod's containers to its spec, one computed step after the other (upstream's `SyncPod`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.kubelet.containers.actions import Actions, compute
from kubeinstall.kubelet.containers.kill import kill_container, kill_pod
from kubeinstall.kubelet.containers.sandboxes import create_sandbox, make_config
from kubeinstall.kubelet.containers.start import StartProblem, start_container
from kubeinstall.kubelet.cri import PodRuntime
from kubeinstall.kubelet.cri.types import EXITED
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.volumes.manager import Mounted

MAX_STEPS = 6
"""Rounds of compute and act in one sync; a worker is called again anyway."""


@dataclass(slots=True)
class Outcome:
    """What a sync could not do. `wake_after` seconds until another try makes sense."""

    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)
    wake_after: float | None = None
    acted: bool = False

    def retry(self, seconds: float) -> None:
        """Try again at the latest then."""
        if self.wake_after is None or seconds < self.wake_after:
            self.wake_after = seconds


async def sync_containers(
    parts: Parts, pod: Object, volumes: Mapping[str, Mounted], outcome: Outcome
) -> None:
    """Act until nothing is left to do now. Raises `SandboxProblem`, `CRIError`."""
    uid = spec.uid(pod)
    runtime = parts.runtime.get(uid)
    actions = compute(pod, runtime, parts.probes)
    if not actions:
        return
    outcome.acted = await _act(parts, pod, runtime, actions, volumes, outcome)


async def _act(
    parts: Parts,
    pod: Object,
    runtime: PodRuntime,
    actions: Actions,
    volumes: Mapping[str, Mounted],
    outcome: Outcome,
) -> bool:
    uid = spec.uid(pod)
    did = False
    if actions.create_sandbox and actions.attempt:
        text = "Pod sandbox changed, it will be killed and re-created."
        parts.recorder.event(pod, "Normal", "SandboxChanged", text)
    if actions.stop_pod:
        if runtime.anything_alive:
            await kill_pod(parts, pod, runtime)
            did = True
        if not actions.create_sandbox:
            return did
    else:
        kills = [
            kill_container(parts, pod, k.status, message=k.message, probe=k.probe)
            for k in actions.kills
        ]
        await asyncio.gather(*kills)
        did = bool(kills)
    if actions.purge_init:
        await _purge_init(parts, pod, runtime)
    sandbox_id, config, ips = await _sandbox(parts, pod, runtime, actions)
    did = did or actions.create_sandbox
    if did:
        runtime = await parts.runtime.refresh(uid)
    for container in (*actions.ephemeral, *actions.init, *actions.main):
        is_main = container in actions.main
        try:
            _check_backoff(parts, pod, container, runtime, outcome)
            await start_container(parts, pod, container, runtime, sandbox_id, config, volumes, ips)
            did = True
        except StartProblem as error:
            outcome.reasons[container["name"]] = (error.reason, error.message)
            if error.reason != "CrashLoopBackOff":
                outcome.retry(_retry_pause(error.reason))
                did = did or error.reason in ("RunContainerError", "PostStartHookError")
            if not is_main and container not in actions.ephemeral:
                break
    return did


def _retry_pause(reason: str) -> float:
    return 1.0 if reason == "PostStartHookError" else 10.0


async def _sandbox(
    parts: Parts, pod: Object, runtime: PodRuntime, actions: Actions
) -> tuple[str, Any, list[str]]:
    """(id, configuration, addresses) of the sandbox to start containers in."""
    if actions.create_sandbox:
        sandbox_id, config = await create_sandbox(parts, pod, actions.attempt)
        fresh = await parts.runtime.refresh(spec.uid(pod))
        ips = list(fresh.ips)
    else:
        sandbox_id = actions.sandbox_id
        config = make_config(parts, pod, actions.attempt)
        ips = list(runtime.ips)
    if spec.host_network(pod):
        ips = list(parts.node_ips)
    return sandbox_id, config, ips


def _check_backoff(
    parts: Parts, pod: Object, container: Object, runtime: PodRuntime, outcome: Outcome
) -> None:
    """Hold back a container that keeps ending: 10 s, doubling, at most 5 minutes."""
    last = runtime.container(container["name"])
    if last is None or last.state != EXITED:
        return
    finished = last.finished_at / 1e9
    key = f"{spec.uid(pod)}/{container['name']}/{spec.container_hash(container)}"
    backoffs = parts.crash_backoffs
    left = backoffs.waiting(key, finished)
    if left > 0:
        outcome.retry(left)
        where = f"{spec.name(pod)}_{spec.namespace(pod)}({spec.uid(pod)})"
        parts.recorder.event(
            pod, "Warning", "BackOff",
            f"Back-off restarting failed container {container['name']} in pod {where}",
            field_path=spec.field_path(pod, container),
        )  # fmt: skip
        raise StartProblem(
            "CrashLoopBackOff",
            f"back-off {_go_duration(backoffs.pause(key))} restarting failed "
            f"container={container['name']} pod={where}",
        )
    backoffs.next(key, time.time())


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


async def _purge_init(parts: Parts, pod: Object, runtime: PodRuntime) -> None:
    """In a new sandbox initialization begins anew."""
    listed = {container["name"] for container in spec.init_containers(pod)}
    for status in runtime.containers:
        if status.name in listed:
            await parts.cri.remove_container(status.id)
