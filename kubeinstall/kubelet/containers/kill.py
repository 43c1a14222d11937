"""Stopping containers and pods, with their preStop hooks and within their grace."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterable

from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.containers.hooks import HookFailed, run_hook
from kubeinstall.kubelet.cri import ContainerStatus, CRIError, PodRuntime
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

MINIMUM_GRACE = 2
"""Seconds that a container gets after its preStop hook used the rest up."""


async def kill_container(
    parts: Parts,
    pod: Object,
    status: ContainerStatus,
    *,
    message: str = "",
    grace: int | None = None,
    probe: str = "",
) -> None:
    """Run preStop, then stop. `grace` replaces the pod's own; raises `CRIError`."""
    container = _find(pod, status.name) or _from_annotations(status)
    limit = _grace(pod, container, probe) if grace is None else grace
    path = spec.field_path(pod, container)
    text = message or f"Stopping container {status.name}"
    parts.recorder.event(pod, "Normal", "Killing", text, field_path=path)
    started = time.monotonic()
    handler = (container.get("lifecycle") or {}).get("preStop")
    if handler and limit > 0:
        await _pre_stop(parts, pod, container, status, handler, limit)
    left = limit - round(time.monotonic() - started)
    if grace is None or grace > 0:
        left = max(left, MINIMUM_GRACE) if limit >= MINIMUM_GRACE else max(left, limit)
    await parts.cri.stop_container(status.id, max(0, left))


async def _pre_stop(
    parts: Parts,
    pod: Object,
    container: Object,
    status: ContainerStatus,
    handler: Object,
    limit: int,
) -> None:
    ips = parts.node_ips if spec.host_network(pod) else list(parts.runtime.get(spec.uid(pod)).ips)
    ip = ips[0] if ips else ""
    try:
        async with asyncio.timeout(limit):
            await run_hook(parts.cri, pod, container, status.id, handler, ip)
    except HookFailed as error:
        log.info("preStop failed", pod=spec.full_name(pod), error=str(error))
        parts.recorder.event(
            pod, "Warning", "FailedPreStopHook", "PreStopHook failed",
            field_path=spec.field_path(pod, container),
        )  # fmt: skip
    except TimeoutError:
        log.info("preStop took all of the grace", pod=spec.full_name(pod), container=status.name)


async def kill_pod(
    parts: Parts, pod: Object, runtime: PodRuntime, grace: int | None = None
) -> None:
    """Stop all containers (sidecars after the others, last first), then the sandboxes.

    Raises `CRIError` where something could not be stopped.
    """
    order = [c["name"] for c in spec.init_containers(pod) if spec.is_sidecar(c)]
    running = runtime.running()
    sidecars = sorted(
        (c for c in running if c.name in order), key=lambda c: order.index(c.name), reverse=True
    )
    others = [c for c in running if c.name not in order]
    limit = _grace(pod, {}, "") if grace is None else grace
    started = time.monotonic()
    await _all(kill_container(parts, pod, status, grace=grace) for status in others)
    for status in sidecars:
        left = max(0, limit - round(time.monotonic() - started)) if others or grace else limit
        await kill_container(parts, pod, status, grace=max(left, MINIMUM_GRACE) if limit else 0)
    await _all(parts.cri.stop_sandbox(s.id) for s in runtime.sandboxes if s.ready)


async def _all(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all, then raise the first failure."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, CRIError):
            raise result
        if isinstance(result, BaseException):
            raise result


def _grace(pod: Object, container: Object, probe: str) -> int:
    meta = pod["metadata"]
    if meta.get("deletionGracePeriodSeconds") is not None:
        return int(meta["deletionGracePeriodSeconds"])
    if probe:
        own = (container.get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds")
        if own is not None:
            return int(own)
    return spec.grace_seconds(pod)


def _find(pod: Object, name: str) -> Object | None:
    return next((c for c in spec.all_containers(pod) if c["name"] == name), None)


def _from_annotations(status: ContainerStatus) -> Object:
    """A container nobody has the spec of any more: what it said when it was made."""
    made: Object = {"name": status.name}
    text = status.annotations.get(names.PRE_STOP)
    if text:
        made["lifecycle"] = {"preStop": json.loads(text)}
    ports = status.annotations.get(names.PORTS)
    if ports:
        made["ports"] = json.loads(ports)
    return made
