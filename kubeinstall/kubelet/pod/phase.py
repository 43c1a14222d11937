"""A pod's phase, as upstream's `getPhase`."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod import spec


def pod_phase(
    pod: Object, statuses: list[Object], init_statuses: list[Object], *, terminal: bool
) -> str:
    """Pending, Running, Succeeded or Failed. `terminal`: nothing of it will run again."""
    if _initializing(pod, init_statuses, statuses):
        failed = _init_failed(pod, init_statuses)
        return "Failed" if failed else "Pending"
    counts = _count(pod, statuses)
    if counts["waiting"]:
        return "Pending"
    if counts["running"] and not counts["unknown"]:
        return "Running"
    if counts["stopped"] and not counts["running"] and not counts["unknown"]:
        return _stopped(pod, statuses, init_statuses, counts, terminal=terminal)
    return "Pending"


def _initializing(pod: Object, init_statuses: list[Object], statuses: list[Object]) -> bool:
    if has_initialized(statuses):
        return False
    by_name = {status["name"]: status for status in init_statuses}
    for container in spec.init_containers(pod):
        status = by_name.get(container["name"])
        if status is None:
            return True
        if spec.is_sidecar(container):
            if not status.get("started"):
                return True
            continue
        terminated = status["state"].get("terminated")
        if not terminated or terminated["exitCode"] != 0:
            return True
    return False


def has_initialized(statuses: list[Object]) -> bool:
    """Whether a main container was ever made: then initialization is behind the pod."""
    return any(
        status["state"].get("running")
        or status["state"].get("terminated")
        or status["lastState"].get("terminated")
        for status in statuses
    )


def _init_failed(pod: Object, init_statuses: list[Object]) -> bool:
    by_name = {status["name"]: status for status in init_statuses}
    for container in spec.init_containers(pod):
        if spec.is_sidecar(container):
            continue
        terminated = by_name.get(container["name"], {}).get("state", {}).get("terminated")
        if (
            terminated
            and terminated["exitCode"] != 0
            and not spec.restarts_after(pod, container, terminated["exitCode"])
        ):
            return True
    return False


def _count(pod: Object, statuses: list[Object]) -> dict[str, int]:
    counts = dict.fromkeys(("waiting", "running", "stopped", "succeeded", "unknown"), 0)
    by_name = {status["name"]: status for status in statuses}
    for container in spec.containers(pod):
        status = by_name.get(container["name"])
        if status is None:
            counts["unknown"] += 1
            continue
        state, last = status["state"], status["lastState"]
        if state.get("running"):
            counts["running"] += 1
        elif state.get("terminated"):
            counts["stopped"] += 1
            counts["succeeded"] += state["terminated"]["exitCode"] == 0
        elif "waiting" in state:
            counts["stopped" if last.get("terminated") else "waiting"] += 1
        else:
            counts["unknown"] += 1
    return counts


def _stopped(
    pod: Object,
    statuses: list[Object],
    init_statuses: list[Object],
    counts: dict[str, int],
    *,
    terminal: bool,
) -> str:
    """All main containers have stopped: over, or about to be started again?"""
    if terminal:
        sidecars_alive = any(status["state"].get("running") for status in init_statuses)
        if not sidecars_alive:
            return "Succeeded" if counts["stopped"] == counts["succeeded"] else "Failed"
    by_name = {status["name"]: status for status in statuses}
    for container in spec.containers(pod):
        terminated = by_name[container["name"]]["state"].get("terminated")
        if terminated is None or spec.restarts_after(pod, container, terminated["exitCode"]):
            return "Running"
    if any(status["state"].get("running") for status in init_statuses):
        # Sidecars still have to be stopped; upstream stays Running until they are.
        return "Running"
    return "Succeeded" if counts["stopped"] == counts["succeeded"] else "Failed"
