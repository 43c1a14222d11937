"""What must be done to a pod, from what it should be and what the runtime has (upstream's `computePodActions`).

Pure: called again after every step, so a crash or a change in between costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from kubeinstall.api.types import Object
from kubeinstall.kubelet.cri.types import (
    CREATED,
    EXITED,
    RUNNING,
    UNKNOWN,
    ContainerStatus,
    PodRuntime,
)
from kubeinstall.kubelet.pod import spec


class Verdicts(Protocol):
    """What the probers found; None is no verdict yet."""

    def has(self, uid: str, container: str, kind: str) -> bool:
        """Whether a prober of that kind runs."""

    def result(self, uid: str, container_id: str, kind: str) -> bool | None:
        """The present verdict."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A container to stop, with the words of its event; `probe` names the kind of probe that failed."""

    status: ContainerStatus
    container: Object
    message: str
    probe: str = ""


@dataclass(slots=True)
class Actions:
    """`stop_pod`: stop everything and the sandbox (before a new one, or because all is done)."""

    stop_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    sandbox_id: str = ""
    purge_init: bool = False
    init: list[Object] = field(default_factory=list)
    main: list[Object] = field(default_factory=list)
    ephemeral: list[Object] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.stop_pod or self.create_sandbox or self.init or self.main or self.ephemeral
        ) or bool(self.kills)


def compute(pod: Object, runtime: PodRuntime, verdicts: Verdicts) -> Actions:
    """The next steps."""
    new_sandbox, attempt, sandbox_id = sandbox_changed(pod, runtime)
    actions = Actions(
        stop_pod=new_sandbox,
        create_sandbox=new_sandbox,
        attempt=attempt,
        sandbox_id=sandbox_id,
    )
    if new_sandbox:
        _with_new_sandbox(pod, runtime, actions)
        return actions
    for container in spec.ephemeral_containers(pod):
        if runtime.container(container["name"]) is None:
            actions.ephemeral.append(container)
    initialized = _init_steps(pod, runtime, verdicts, actions)
    if initialized is None:  # an init container failed for good
        actions.stop_pod = True
        actions.init.clear()
        return actions
    if initialized:
        _main_steps(pod, runtime, verdicts, actions)
    return actions


def sandbox_changed(pod: Object, runtime: PodRuntime) -> tuple[bool, int, str]:
    """(whether a new sandbox is needed, its attempt, the id of the present one)."""
    if not runtime.sandboxes:
        return True, 0, ""
    newest = runtime.sandboxes[0]
    ready = sum(sandbox.ready for sandbox in runtime.sandboxes)
    if ready > 1 or not newest.ready:
        return True, newest.attempt + 1, newest.id
    if newest.host_network != spec.host_network(pod):
        return True, newest.attempt + 1, ""
    if not spec.host_network(pod) and not newest.ips:
        return True, newest.attempt + 1, newest.id
    return False, newest.attempt, newest.id


def _with_new_sandbox(pod: Object, runtime: PodRuntime, actions: Actions) -> None:
    restarts = spec.restart_policy(pod) != "Never"
    if not restarts and actions.attempt and runtime.containers:
        # It ran and is not to run again: clean up only.
        actions.create_sandbox = False
        return
    to_start = []
    for container in spec.containers(pod):
        status = runtime.container(container["name"])
        if (
            status is not None
            and status.state == EXITED
            and not spec.restarts_after(pod, container, status.exit_code)
        ):
            continue
        to_start.append(container)
    if not to_start:
        actions.create_sandbox = False
        return
    if spec.init_containers(pod):
        actions.purge_init = True
        actions.init = [spec.init_containers(pod)[0]]
        return
    actions.main = to_start


def has_initialized(pod: Object, runtime: PodRuntime) -> bool:
    """Whether a main container was made in the present sandbox."""
    newest = runtime.sandboxes[0].id if runtime.sandboxes else ""
    main = {container["name"] for container in spec.containers(pod)}
    return any(c.name in main and c.sandbox_id == newest for c in runtime.containers)


def _init_steps(
    pod: Object, runtime: PodRuntime, verdicts: Verdicts, actions: Actions
) -> bool | None:
    """Add init steps; True when main containers may start, None when initialization failed."""
    after = has_initialized(pod, runtime)
    listed = spec.init_containers(pod)
    for index, container in enumerate(listed):
        status = runtime.container(container["name"])
        later_exists = any(runtime.container(c["name"]) for c in listed[index + 1 :])
        if spec.is_sidecar(container):
            if not _sidecar_step(pod, container, status, verdicts, actions) and not (
                after or later_exists
            ):
                return False
            continue
        if after:
            continue
        if status is None:
            actions.init.append(container)
            return False
        if status.state in (RUNNING, CREATED):
            if status.state == CREATED:
                actions.init.append(container)
            return False
        if status.state == UNKNOWN:
            actions.kills.append(Kill(status, container, _UNKNOWN_TEXT))
            return False
        if status.exit_code != 0:
            if not spec.restarts_after(pod, container, status.exit_code):
                return None
            actions.init.append(container)
            return False
    return True


_UNKNOWN_TEXT = "Init container is in unknown state, try killing it before restart"


def _sidecar_step(
    pod: Object,
    container: Object,
    status: ContainerStatus | None,
    verdicts: Verdicts,
    actions: Actions,
) -> bool:
    """Start or kill a sidecar as needed; whether what follows it may start."""
    if status is None or status.state in (EXITED, CREATED):
        actions.init.append(container)
        return False
    if status.state == UNKNOWN:
        actions.kills.append(Kill(status, container, _UNKNOWN_TEXT))
        return False
    kill = _probe_kill(pod, container, status, verdicts, restarts=True)
    if kill is not None:
        actions.kills.append(kill)
        actions.init.append(container)
        return False
    verdict = verdicts.result(spec.uid(pod), status.id, "startup")
    return verdict is True or not container.get("startupProbe")


def _main_steps(pod: Object, runtime: PodRuntime, verdicts: Verdicts, actions: Actions) -> None:
    keep = 0
    for container in spec.containers(pod):
        status = runtime.container(container["name"])
        if status is None or status.state == CREATED:
            actions.main.append(container)
            continue
        if status.state == UNKNOWN:
            text = "Container is in unknown state, try killing it before restarting"
            actions.kills.append(Kill(status, container, text))
            actions.main.append(container)
            continue
        if status.state == EXITED:
            if spec.restarts_after(pod, container, status.exit_code):
                actions.main.append(container)
            continue
        restarts = spec.restart_policy(pod, container) != "Never"
        kill = _main_kill(pod, container, status, verdicts, restarts=restarts)
        if kill is None:
            keep += 1
            continue
        actions.kills.append(kill)
        if restarts or kill.probe == "":
            actions.main.append(container)
    if keep == 0 and not actions.main and not actions.kills:
        actions.stop_pod = True
        actions.init.clear()


def _main_kill(
    pod: Object, container: Object, status: ContainerStatus, verdicts: Verdicts, *, restarts: bool
) -> Kill | None:
    if status.hash and status.hash != spec.container_hash(container):
        name = container["name"]
        return Kill(status, container, f"Container {name} definition changed, will be restarted")
    return _probe_kill(pod, container, status, verdicts, restarts=restarts)


def _probe_kill(
    pod: Object, container: Object, status: ContainerStatus, verdicts: Verdicts, *, restarts: bool
) -> Kill | None:
    for kind in ("startup", "liveness"):
        if verdicts.result(spec.uid(pod), status.id, kind) is False:
            text = f"Container {container['name']} failed {kind} probe"
            return Kill(status, container, text + (", will be restarted" if restarts else ""), kind)
    return None
