"""A pod's conditions, as upstream's `status.Generate…Condition`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.kubelet.allocation import Pending
from kubeinstall.kubelet.cri.types import PodRuntime
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.phase import has_initialized


@dataclass(frozen=True, slots=True)
class Resize:
    """How far an in-place resize is. `actuated` gives what a container was last held to, None where not known."""

    pending: Pending | None = None
    in_progress: bool = False
    error: str = ""
    actuated: Callable[[str], Object | None] = lambda _name: None


OWNED = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
)
"""Types that the kubelet decides; all others belong to whoever set them."""


def make_conditions(
    pod: Object,
    phase: str,
    statuses: list[Object],
    init_statuses: list[Object],
    runtime: PodRuntime,
    kept: list[Object],
    resize: Resize,
) -> list[Object]:
    """The kubelet's conditions without transition times, in upstream's order; `kept` are others'."""
    containers_ready = _containers_ready(pod, phase, statuses, init_statuses)
    return [
        *_resize(resize),
        _sandbox_ready(pod, runtime),
        _initialized(pod, phase, statuses, init_statuses),
        _ready(pod, containers_ready, kept),
        containers_ready,
        _condition("PodScheduled", value=True),
    ]


def with_times(
    conditions: list[Object], previous: list[Object], now: str, generation: int | None
) -> list[Object]:
    """Add transition times: a condition whose status did not change keeps its time."""
    known = {condition["type"]: condition for condition in previous}
    for condition in conditions:
        old = known.get(condition["type"])
        same = old is not None and old.get("status") == condition["status"]
        condition["lastProbeTime"] = None
        condition["lastTransitionTime"] = old["lastTransitionTime"] if same and old else now
        if generation is not None:
            condition["observedGeneration"] = generation
    return conditions


def _condition(kind: str, *, value: bool, reason: str = "", message: str = "") -> Object:
    condition: Object = {"type": kind, "status": "True" if value else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _resize(resize: Resize) -> list[Object]:
    made = []
    if resize.pending is not None:
        reason, message = resize.pending.reason, resize.pending.message
        made.append(_condition("PodResizePending", value=True, reason=reason, message=message))
    if resize.in_progress:
        reason = "Error" if resize.error else ""
        made.append(
            _condition("PodResizeInProgress", value=True, reason=reason, message=resize.error)
        )
    return made


def _sandbox_ready(pod: Object, runtime: PodRuntime) -> Object:
    newest = runtime.sandboxes[0] if runtime.sandboxes else None
    ready = newest is not None and newest.ready
    if ready and newest and not spec.host_network(pod):
        ready = bool(newest.ips)
    return _condition("PodReadyToStartContainers", value=ready)


def _initialized(
    pod: Object, phase: str, statuses: list[Object], init_statuses: list[Object]
) -> Object:
    if has_initialized(statuses):
        return _condition("Initialized", value=True)
    by_name = {status["name"]: status for status in init_statuses}
    unknown, incomplete = [], []
    for container in spec.init_containers(pod):
        status = by_name.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif spec.is_sidecar(container):
            if not status.get("started"):
                incomplete.append(container["name"])
        elif not status.get("ready"):
            incomplete.append(container["name"])
    if phase == "Succeeded" and not unknown:
        return _condition("Initialized", value=True, reason="PodCompleted")
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if incomplete:
        messages.append(f"containers with incomplete status: [{' '.join(incomplete)}]")
    if messages:
        return _condition(
            "Initialized",
            value=False,
            reason="ContainersNotInitialized",
            message=", ".join(messages),
        )
    return _condition("Initialized", value=True)


def _containers_ready(
    pod: Object, phase: str, statuses: list[Object], init_statuses: list[Object]
) -> Object:
    by_name = {status["name"]: status for status in (*init_statuses, *statuses)}
    unknown, unready = [], []
    sidecars = [c for c in spec.init_containers(pod) if spec.is_sidecar(c)]
    for container in (*sidecars, *spec.containers(pod)):
        status = by_name.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not status.get("ready"):
            unready.append(container["name"])
    if phase == "Succeeded" and not unknown:
        return _condition("ContainersReady", value=False, reason="PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", value=False, reason="PodFailed")
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if unready:
        messages.append(f"containers with unready status: [{' '.join(unready)}]")
    if messages:
        return _condition(
            "ContainersReady",
            value=False,
            reason="ContainersNotReady",
            message=", ".join(messages),
        )
    return _condition("ContainersReady", value=True)


def _ready(pod: Object, containers_ready: Object, kept: list[Object]) -> Object:
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    known = {condition["type"]: condition for condition in kept}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        kind = gate["conditionType"]
        if kind not in known:
            messages.append(
                f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            )
        elif known[kind].get("status") != "True":
            messages.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {known[kind].get("status")}'
            )
    if messages:
        return _condition(
            "Ready", value=False, reason="ReadinessGatesNotReady", message=", ".join(messages)
        )
    return _condition("Ready", value=True)
