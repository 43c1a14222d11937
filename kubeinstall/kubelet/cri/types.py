"""What the runtime reports, as plain records the pod workers compare against the desired state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.kubelet import names

CREATED, RUNNING, EXITED, UNKNOWN = "created", "running", "exited", "unknown"
_STATES = {0: CREATED, 1: RUNNING, 2: EXITED, 3: UNKNOWN}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One pod sandbox; `created_at` in nanoseconds since the epoch."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created_at: int
    ips: tuple[str, ...] = ()
    host_network: bool = False
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container, running or dead; times in nanoseconds since the epoch."""

    id: str
    name: str
    sandbox_id: str
    state: str
    created_at: int
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    image: str = ""
    image_ref: str = ""
    image_id: str = ""
    reason: str = ""
    message: str = ""
    restart_count: int = 0
    hash: str = ""
    log_path: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    user: tuple[int, int, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """Everything the runtime has of one pod; sandboxes and containers newest first."""

    uid: str
    name: str = ""
    namespace: str = ""
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def ips(self) -> tuple[str, ...]:
        """Addresses of the newest sandbox, while it is ready."""
        if self.sandboxes and self.sandboxes[0].ready:
            return self.sandboxes[0].ips
        return ()

    def container(self, name: str) -> ContainerStatus | None:
        """The newest container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def by_id(self, container_id: str) -> ContainerStatus | None:
        """The container with that id."""
        return next((c for c in self.containers if c.id == container_id), None)

    def running(self) -> list[ContainerStatus]:
        """Containers that run, and those nobody knows the state of."""
        return [c for c in self.containers if c.state in (RUNNING, UNKNOWN)]

    @property
    def anything_alive(self) -> bool:
        """Whether a container runs or a sandbox is ready."""
        return bool(self.running()) or any(s.ready for s in self.sandboxes)


def sandbox_from_status(status: Any) -> Sandbox:
    """A `PodSandboxStatus` message as a record."""
    network = status.network
    ips = [network.ip, *(extra.ip for extra in network.additional_ips)] if network.ip else []
    return Sandbox(
        id=status.id,
        name=status.metadata.name,
        namespace=status.metadata.namespace,
        uid=status.metadata.uid,
        attempt=status.metadata.attempt,
        ready=status.state == api.SANDBOX_READY,
        created_at=status.created_at,
        ips=tuple(ips),
        host_network=status.linux.namespaces.options.network == api.NODE,
        runtime_handler=status.runtime_handler,
    )


def container_from_status(status: Any, sandbox_id: str) -> ContainerStatus:
    """A `ContainerStatus` message as a record."""
    annotations = dict(status.annotations)
    user = None
    if status.HasField("user") and status.user.HasField("linux"):
        linux = status.user.linux
        user = (linux.uid, linux.gid, tuple(linux.supplemental_groups))
    return ContainerStatus(
        id=status.id,
        name=status.labels.get(names.CONTAINER_NAME, status.metadata.name),
        sandbox_id=sandbox_id,
        state=_STATES.get(status.state, UNKNOWN),
        created_at=status.created_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        exit_code=status.exit_code,
        image=status.image.user_specified_image or status.image.image,
        image_ref=status.image_ref,
        image_id=status.image_id,
        reason=status.reason,
        message=status.message,
        restart_count=_number(annotations.get(names.RESTART_COUNT, "")),
        hash=annotations.get(names.HASH, ""),
        log_path=status.log_path,
        labels=dict(status.labels),
        annotations=annotations,
        user=user,
    )


def state_name(number: int) -> str:
    """A `ContainerState` number as this module's word."""
    return _STATES.get(number, UNKNOWN)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
