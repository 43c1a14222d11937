"""The row of a Pod: its STATUS says what kubectl users look at first."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.table.cells import NONE, Cells, age_of, deleting, is_true, name_of
from kubeinstall.api.table.durations import since
from kubeinstall.api.types import Object


class _Summary:
    """Gathers over container statuses what the row shows."""

    def __init__(self, reason: str, total: int) -> None:
        self.reason = reason
        self.total = total
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""

    def count(self, status: Object) -> None:
        """Add restarts, and remember the newest one."""
        self.restarts += status.get("restartCount", 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        # RFC 3339 in UTC sorts as text.
        self.last_restart = max(self.last_restart, ended)


def pod_row(pod: Object, now: float) -> Cells:
    """NAME, READY, STATUS, RESTARTS, AGE, IP, NODE, NOMINATED NODE, READINESS GATES."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _Summary(_first_reason(status), len(spec.get("containers") or ()))
    initializing = _init_containers(spec, status, summary)
    if not initializing or is_true(pod, "Initialized"):
        _main_containers(pod, status, summary)
    phase = status.get("phase", "")
    if deleting(pod) and status.get("reason") == "NodeLost":
        summary.reason = "Unknown"
    elif deleting(pod) and phase not in ("Succeeded", "Failed"):
        summary.reason = "Terminating"
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts = f"{summary.restarts} ({since(summary.last_restart, now)} ago)"
    ips = status.get("podIPs") or [{}]
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        restarts,
        age_of(pod, now),
        ips[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod, spec),
    ]


def pod_conditions(pod: Object) -> list[Object]:
    """The row's own conditions: kubectl greys out pods that are done."""
    phase = (pod.get("status") or {}).get("phase")
    if phase not in ("Succeeded", "Failed"):
        return []
    done = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": done}]


def _first_reason(status: Object) -> str:
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return str(status.get("reason") or status.get("phase", ""))


def _init_containers(spec: Object, status: Object, summary: _Summary) -> bool:
    """Look at init containers up to the first that is not done; True if there is such a one."""
    declared = spec.get("initContainers") or []
    sidecars = {each["name"] for each in declared if each.get("restartPolicy") == "Always"}
    summary.total += len(sidecars)
    of_sidecars = _Summary("", 0)
    stopped = False
    for index, each in enumerate(status.get("initContainerStatuses") or ()):
        summary.count(each)
        if each.get("name") in sidecars:
            of_sidecars.count(each)
        state = each.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and not ended.get("exitCode"):
            continue
        if each.get("name") in sidecars and each.get("started"):
            summary.ready += bool(each.get("ready"))
            continue
        summary.reason = "Init:" + _init_reason(state, ended, index, len(declared))
        stopped = True
        break
    if not stopped:
        summary.restarts, summary.last_restart = of_sidecars.restarts, of_sidecars.last_restart
    return stopped


def _init_reason(state: Object, ended: Object | None, index: int, total: int) -> str:
    if ended is not None:
        return _ended_reason(ended)
    waiting = (state.get("waiting") or {}).get("reason") or ""
    return waiting if waiting not in ("", "PodInitializing") else f"{index}/{total}"


def _ended_reason(ended: Object) -> str:
    if ended.get("reason"):
        found: str = ended["reason"]
        return found
    return (
        f"Signal:{ended['signal']}"
        if ended.get("signal")
        else f"ExitCode:{ended.get('exitCode', 0)}"
    )


def _main_containers(pod: Object, status: Object, summary: _Summary) -> None:
    running = False
    for each in reversed(status.get("containerStatuses") or ()):
        summary.count(each)
        state: dict[str, Any] = each.get("state") or {}
        ended = state.get("terminated")
        if waiting := (state.get("waiting") or {}).get("reason"):
            summary.reason = waiting
        elif ended is not None:
            summary.reason = _ended_reason(ended)
        elif each.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if is_true(pod, "Ready") else "NotReady"


def _gates(pod: Object, spec: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(is_true(pod, gate['conditionType']) for gate in gates)}/{len(gates)}"
