"""The whole `status` of a pod, as upstream's `generateAPIPodStatus`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeinstall.api.times import now
from kubeinstall.api.types import Object
from kubeinstall.kubelet.allocation import POD
from kubeinstall.kubelet.cri.types import ContainerStatus, PodRuntime
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.pod.conditions import OWNED, Resize, make_conditions, with_times
from kubeinstall.kubelet.pod.containers_status import (
    Probes,
    Reasons,
    make_statuses,
    mark_ready,
    resources_status,
)
from kubeinstall.kubelet.pod.phase import has_initialized, pod_phase


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a pod is over although its containers did not end by themselves (eviction, deadline, admission)."""

    phase: str
    reason: str
    message: str
    conditions: tuple[Object, ...] = ()


_NO_RESIZE = Resize()


def make_status(
    pod: Object,
    runtime: PodRuntime,
    previous: Object,
    *,
    reasons: Reasons,
    probes: Probes,
    host_ips: Sequence[str],
    terminal: bool,
    verdict: Verdict | None = None,
    resize: Resize = _NO_RESIZE,
) -> Object:
    """The status to report; `previous` is the one known so far, `terminal` that nothing will run again."""
    known = {s["name"]: s for s in previous.get("containerStatuses") or []}
    known_init = {s["name"]: s for s in previous.get("initContainerStatuses") or []}
    known_ephemeral = {s["name"]: s for s in previous.get("ephemeralContainerStatuses") or []}
    has_init = bool(spec.init_containers(pod))

    def sizes(container: Object, current: ContainerStatus | None) -> Object:
        return resources_status(container, current, resize.actuated(container["name"]))

    statuses = make_statuses(
        pod, spec.containers(pod), runtime, reasons, known,
        initializing=has_init, init=False, terminal=terminal, resources_of=sizes,
    )  # fmt: skip
    init_statuses = make_statuses(
        pod, spec.init_containers(pod), runtime, reasons, known_init,
        initializing=True, init=True, terminal=terminal, resources_of=sizes,
    )  # fmt: skip
    ephemeral = make_statuses(
        pod, spec.ephemeral_containers(pod), runtime, reasons, known_ephemeral,
        initializing=False, init=False, terminal=terminal, resources_of=lambda _c, _s: {},
    )  # fmt: skip
    mark_ready(pod, statuses, spec.containers(pod), probes, init=False)
    mark_ready(pod, init_statuses, spec.init_containers(pod), probes, init=True)
    if terminal:
        _end_all(runtime, statuses, init_statuses)
    _forget_unstarted(statuses, runtime, init_statuses)

    phase = verdict.phase if verdict else pod_phase(pod, statuses, init_statuses, terminal=terminal)
    if previous.get("phase") in ("Succeeded", "Failed"):
        phase = previous["phase"]  # a terminal phase is never left
    # Conditions of others are whatever the API has now (readiness gates, DisruptionTarget), not what was reported last.
    theirs = (pod.get("status") or {}).get("conditions") or []
    kept = [dict(c) for c in theirs if c["type"] not in OWNED]
    conditions = make_conditions(pod, phase, statuses, init_statuses, runtime, kept, resize)
    generation = pod["metadata"].get("generation")
    fresh = with_times(conditions, previous.get("conditions") or [], now(), generation)
    if verdict:
        extra = [dict(c) for c in verdict.conditions]
        fresh += with_times(extra, previous.get("conditions") or [], now(), generation)
        kept = [c for c in kept if c["type"] not in {e["type"] for e in extra}]

    status: Object = {"phase": phase, "conditions": fresh + kept}
    if generation is not None:
        status["observedGeneration"] = generation
    _add_reason(status, previous, verdict)
    _add_addresses(status, pod, runtime, previous, host_ips)
    status["startTime"] = previous.get("startTime") or now()
    _add_resources(status, pod, runtime, resize)
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    # What stopped before it began has no container to speak of.
    if not (verdict and not runtime.containers and not known):
        status["containerStatuses"] = sorted(statuses, key=lambda s: str(s["name"]))
    if ephemeral:
        for entry in ephemeral:
            entry.pop("started", None)
        status["ephemeralContainerStatuses"] = ephemeral
    status["qosClass"] = resources.qos_class(pod)
    for name in ("nominatedNodeName", "resourceClaimStatuses"):
        if previous.get(name):
            status[name] = previous[name]
    return status


def _end_all(runtime: PodRuntime, *lists: list[Object]) -> None:
    """A pod that is over has no waiting container; running ones are left to be seen ending."""
    for statuses in lists:
        for status in statuses:
            if "waiting" not in status["state"]:
                continue
            if status["lastState"].get("terminated"):
                status["state"], status["lastState"] = status["lastState"], {}
                continue
            if status.get("containerID") and runtime.by_id(
                str(status["containerID"]).partition("://")[2]
            ):
                continue


def _forget_unstarted(
    statuses: list[Object], runtime: PodRuntime, init_statuses: list[Object]
) -> None:
    """While init containers run, main ones say PodInitializing whatever the last try said."""
    if not init_statuses or has_initialized(statuses):
        return
    waiting_on_init = any(
        not s["ready"] and "terminated" not in s["state"] and not s.get("started")
        for s in init_statuses
    )
    for status in statuses:
        if waiting_on_init and runtime.container(status["name"]) is None:
            status["state"] = {"waiting": {"reason": "PodInitializing"}}


def _add_reason(status: Object, previous: Object, verdict: Verdict | None) -> None:
    reason = verdict.reason if verdict else previous.get("reason", "")
    message = verdict.message if verdict else previous.get("message", "")
    if status["phase"] in ("Failed", "Succeeded") or verdict:
        if reason:
            status["reason"] = reason
        if message:
            status["message"] = message


def _add_resources(status: Object, pod: Object, runtime: PodRuntime, resize: Resize) -> None:
    """What the pod as a whole was given and is held to, where it has resources of its own."""
    level = pod["spec"].get("resources")
    if not level or not runtime.running():
        return
    held = resize.actuated(POD)
    status["resources"] = {k: dict(v) for k, v in (level if held is None else held).items()}
    status["allocatedResources"] = dict(level.get("requests") or {})


def _add_addresses(
    status: Object,
    pod: Object,
    runtime: PodRuntime,
    previous: Object,
    host_ips: Sequence[str],
) -> None:
    if not host_ips:
        return
    status["hostIP"] = host_ips[0]
    status["hostIPs"] = [{"ip": ip} for ip in host_ips]
    if spec.host_network(pod):
        status["podIP"] = host_ips[0]
        status["podIPs"] = [{"ip": ip} for ip in host_ips]
        return
    ips = list(runtime.ips)
    if not ips and previous.get("podIP") and not runtime.sandboxes:
        ips = [entry["ip"] for entry in previous.get("podIPs") or []]
    elif not ips and runtime.sandboxes:
        ips = list(runtime.sandboxes[0].ips) or [
            entry["ip"] for entry in previous.get("podIPs") or []
        ]
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]
