"""`containerStatuses` of a pod from what the runtime says, as upstream's `convertToAPIContainerStatuses`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from kubeinstall.api.times import from_unix
from kubeinstall.api.types import Object
from kubeinstall.kubelet.cri.types import (
    CREATED,
    EXITED,
    RUNNING,
    ContainerStatus,
    PodRuntime,
)
from kubeinstall.kubelet.pod import spec

NANO = 1_000_000_000
LOST_MESSAGE = "The container could not be located when the pod was terminated"
DELETED_MESSAGE = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)

Reasons = Mapping[str, tuple[str, str]]
"""Container name → (reason, message) of why it does not run."""

ResourcesOf = Callable[[Object, ContainerStatus | None], Object]


class Probes(Protocol):
    """What the probers know of one pod's containers; None is "no result yet"."""

    def has(self, uid: str, container: str, kind: str) -> bool:
        """Whether a prober of that kind runs."""

    def result(self, uid: str, container_id: str, kind: str) -> bool | None:
        """The present verdict."""


def container_state(status: ContainerStatus) -> Object:
    """`state` of one container."""
    if status.state == RUNNING:
        return {"running": {"startedAt": from_unix(status.started_at // NANO)}}
    if status.state == CREATED:
        return {"waiting": {}}
    if status.state == EXITED:
        terminated: Object = {"exitCode": status.exit_code}
        if status.reason:
            terminated["reason"] = status.reason
        if status.message:
            terminated["message"] = status.message
        terminated["startedAt"] = _time(status.started_at)
        terminated["finishedAt"] = _time(status.finished_at)
        terminated["containerID"] = container_id(status.id)
        return {"terminated": terminated}
    return {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": LOST_MESSAGE,
            "startedAt": None,
            "finishedAt": None,
        }
    }


def container_id(runtime_id: str) -> str:
    """`containerd://…`."""
    return f"containerd://{runtime_id}"


def _time(nanoseconds: int) -> str | None:
    return from_unix(nanoseconds // NANO) if nanoseconds else None


def make_statuses(
    pod: Object,
    listed: list[Object],
    runtime: PodRuntime,
    reasons: Reasons,
    previous: Mapping[str, Object],
    *,
    initializing: bool,
    init: bool,
    terminal: bool,
    resources_of: ResourcesOf,
) -> list[Object]:
    """Statuses of one list of containers (`listed`), before `ready` and `started` are known.

    `previous` is what the API has, by name: a container that the runtime has lost keeps what was known.
    """
    made = []
    for container in listed:
        current = runtime.container(container["name"])
        old = previous.get(container["name"])
        if current is None:
            status = _without_runtime(pod, container, old, initializing=initializing, init=init)
        else:
            status = _with_runtime(container, current, runtime)
        if not terminal:
            _explain_waiting(pod, container, status, current, reasons, init=init)
        resources = resources_of(container, current)
        if resources:
            status.update(resources)
        made.append(status)
    return made


def _base(container: Object) -> Object:
    return {
        "name": container["name"],
        "state": {},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": "",
    }


def _without_runtime(
    pod: Object, container: Object, old: Object | None, *, initializing: bool, init: bool
) -> Object:
    """The runtime has no such container: not made yet, or removed since."""
    status = _base(container)
    waiting = {"reason": "PodInitializing" if initializing and not init else "ContainerCreating"}
    if init:
        waiting = {"reason": "PodInitializing"}
    status["state"] = {"waiting": waiting}
    if not old:
        return status
    state = old.get("state") or {}
    if state.get("terminated"):
        # Removed by garbage collection after it ended: what was known stays true.
        return {**status, **{k: old[k] for k in _KEPT if k in old}}
    status["restartCount"] = old.get("restartCount", 0)
    if old.get("lastState"):
        status["lastState"] = old["lastState"]
    if "running" in state:
        # It ran and is gone without a trace: upstream says so, and counts the restart.
        status["lastState"] = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": DELETED_MESSAGE,
                "startedAt": None,
                "finishedAt": None,
            }
        }
        if spec.restart_policy(pod, container) != "Never":
            status["restartCount"] += 1
    return status


_KEPT = (
    "state",
    "lastState",
    "restartCount",
    "imageID",
    "containerID",
    "image",
    "user",
    "volumeMounts",
)


def _with_runtime(container: Object, current: ContainerStatus, runtime: PodRuntime) -> Object:
    status = _base(container)
    status["state"] = container_state(current)
    status["restartCount"] = current.restart_count
    status["image"] = current.image or container.get("image", "")
    status["imageID"] = current.image_ref or current.image_id
    status["containerID"] = container_id(current.id)
    earlier = [c for c in runtime.containers if c.name == container["name"] and c.id != current.id]
    if earlier and earlier[0].state == EXITED:
        status["lastState"] = container_state(earlier[0])
    if container.get("volumeMounts"):
        status["volumeMounts"] = [_volume_mount(mount) for mount in container["volumeMounts"]]
    if current.user is not None:
        uid, gid, groups = current.user
        status["user"] = {"linux": {"uid": uid, "gid": gid, "supplementalGroups": list(groups)}}
    return status


def _volume_mount(mount: Object) -> Object:
    made: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        # The runtimes that Debian has mount what is below writable: never recursive.
        made["readOnly"] = True
        made["recursiveReadOnly"] = "Disabled"
    return made


def _explain_waiting(
    pod: Object,
    container: Object,
    status: Object,
    current: ContainerStatus | None,
    reasons: Reasons,
    *,
    init: bool,
) -> None:
    """Put the reason why a container that should run does not; what it was becomes lastState."""
    if container["name"] not in reasons:
        return
    if current is not None and current.state == RUNNING:
        return
    sidecar = spec.is_sidecar(container)
    if current is not None and current.state == EXITED:
        if init and not sidecar and current.exit_code == 0:
            return
        if not spec.restarts_after(pod, container, current.exit_code):
            return
    reason, message = reasons[container["name"]]
    waiting = {"reason": reason}
    if message:
        waiting["message"] = message
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    status["state"] = {"waiting": waiting}


def mark_ready(
    pod: Object, statuses: list[Object], listed: list[Object], probes: Probes, *, init: bool
) -> None:
    """Set `started` and `ready`, as upstream's prober manager's `UpdatePodStatus`."""
    by_name = {container["name"]: container for container in listed}
    uid = spec.uid(pod)
    for status in statuses:
        container = by_name[status["name"]]
        terminated = status["state"].get("terminated")
        if init and not spec.is_sidecar(container):
            status["ready"] = bool(terminated) and terminated["exitCode"] == 0
            status["started"] = False
            continue
        runtime_id = str(status.get("containerID", "")).partition("://")[2]
        started = False
        if status["state"].get("running"):
            verdict = probes.result(uid, runtime_id, "startup")
            started = (
                verdict if verdict is not None else not probes.has(uid, status["name"], "startup")
            )
        status["started"] = bool(started)
        ready = False
        if started:
            verdict = probes.result(uid, runtime_id, "readiness")
            ready = (
                verdict if verdict is not None else not probes.has(uid, status["name"], "readiness")
            )
        status["ready"] = bool(ready)


def resources_status(
    container: Object, current: ContainerStatus | None, actuated: Object | None = None
) -> Object:
    """`allocatedResources` and `resources` of a running container: what it was given, and what it is held to."""
    if current is None or current.state not in (RUNNING, CREATED):
        return {}
    listed: dict[str, Any] = container.get("resources") or {}
    held = listed if actuated is None else actuated
    made: Object = {"resources": {k: dict(v) for k, v in held.items() if k in _RESOURCE_LISTS}}
    if listed.get("requests"):
        made["allocatedResources"] = dict(listed["requests"])
    return made


_RESOURCE_LISTS = ("requests", "limits")
