"""The `ContainerConfig` of one container."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.pod.expand import expand
from kubeinstall.kubelet.translate.sandbox import pod_labels
from kubeinstall.kubelet.translate.security import container_security

DEFAULT_TERMINATION_PATH = "/dev/termination-log"
_PROPAGATION = {
    "None": api.PROPAGATION_PRIVATE,
    "HostToContainer": api.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": api.PROPAGATION_BIDIRECTIONAL,
}


@dataclass(frozen=True, slots=True)
class Mount:
    """A host path inside a container."""

    container_path: str
    host_path: str
    readonly: bool = False
    propagation: str = "None"
    selinux_relabel: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A host device inside a container; `permissions` of "rwm"."""

    container_path: str
    host_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class ContainerInputs:
    """What a container is made from, besides pod and container."""

    image: str
    image_uid: int | None
    image_user: str
    attempt: int
    environment: dict[str, str]
    mounts: list[Mount]
    memory_capacity: int
    seccomp_root: Path
    seccomp_default: bool
    cgroup_v2: bool
    enforce_quota: bool
    target_id: str = ""
    apparmor: bool = False
    devices: list[Device] = field(default_factory=list)


def container_config(pod: Object, container: Object, given: ContainerInputs) -> Any:
    """The configuration; raises `SecurityError`."""
    name = container["name"]
    config = api.ContainerConfig(
        metadata=api.ContainerMetadata(name=name, attempt=given.attempt),
        image=api.ImageSpec(image=given.image, user_specified_image=container.get("image", "")),
        command=[expand(word, given.environment) for word in container.get("command") or []],
        args=[expand(word, given.environment) for word in container.get("args") or []],
        working_dir=container.get("workingDir") or "",
        envs=[
            api.KeyValue(key=key, value=value.encode()) for key, value in given.environment.items()
        ],
        labels={**pod_labels(pod), names.CONTAINER_NAME: name},
        annotations=container_annotations(pod, container, given.attempt),
        log_path=f"{name}/{given.attempt}.log",
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
    )
    for mount in given.mounts:
        config.mounts.add(
            container_path=mount.container_path,
            host_path=mount.host_path,
            readonly=mount.readonly,
            selinux_relabel=mount.selinux_relabel,
            propagation=_PROPAGATION[mount.propagation],
        )
    for device in given.devices:
        config.devices.add(
            container_path=device.container_path,
            host_path=device.host_path,
            permissions=device.permissions,
        )
    stop_signal = (container.get("lifecycle") or {}).get("stopSignal")
    if stop_signal:
        setattr(config, "stop_signal", api.Signal.Value(_signal(stop_signal)))  # noqa: B010 - the stub takes no int
    config.linux.security_context.CopyFrom(
        container_security(
            pod,
            container,
            image_uid=given.image_uid,
            image_user=given.image_user,
            seccomp_root=given.seccomp_root,
            seccomp_default=given.seccomp_default,
            target_id=given.target_id,
            apparmor=given.apparmor,
        )
    )
    config.linux.resources.CopyFrom(container_resources(pod, container, given))
    return config


def container_resources(pod: Object, container: Object, given: ContainerInputs) -> Any:
    """`LinuxContainerResources` of a new container."""
    made = container_limits(
        pod, container, given.memory_capacity, enforce_quota=given.enforce_quota
    )
    if given.cgroup_v2:
        # A container out of memory dies as a whole, not process by process.
        made.unified["memory.oom.group"] = "1"
    return made


def container_limits(
    pod: Object, container: Object, memory_capacity: int, *, enforce_quota: bool
) -> Any:
    """`LinuxContainerResources`: shares from the request (else the limit), quota and memory from the limit.

    A container without a limit of its own is held to the pod's.
    """
    asked, allowed = resources.requests(container), resources.effective_limits(pod, container)
    made = api.LinuxContainerResources(
        oom_score_adj=resources.oom_score_adj(pod, container, memory_capacity)
    )
    cpu_request, cpu_limit = asked.get("cpu"), allowed.get("cpu")
    if cpu_request is None and cpu_limit is not None:
        made.cpu_shares = resources.cpu_shares(cpu_limit.milli)
    else:
        made.cpu_shares = resources.cpu_shares(cpu_request.milli if cpu_request else 0)
    if enforce_quota:
        made.cpu_period = resources.QUOTA_PERIOD
        if cpu_limit is not None:
            made.cpu_quota = resources.cpu_quota(cpu_limit.milli)
    if "memory" in allowed:
        made.memory_limit_in_bytes = allowed["memory"].value
    for size, limit in resources.hugepage_limits(allowed).items():
        made.hugepage_limits.add(page_size=size, limit=limit)
    return made


def container_annotations(pod: Object, container: Object, attempt: int) -> dict[str, str]:
    """What a restarted kubelet must know to stop this container although the pod may be gone."""
    made = {
        names.HASH: spec.container_hash(container),
        names.RESTART_COUNT: str(attempt),
        names.TERMINATION_PATH: container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH,
        names.TERMINATION_POLICY: container.get("terminationMessagePolicy") or "File",
    }
    meta, pod_spec = pod["metadata"], pod["spec"]
    if meta.get("deletionGracePeriodSeconds") is not None:
        made[names.DELETION_GRACE] = str(meta["deletionGracePeriodSeconds"])
    if pod_spec.get("terminationGracePeriodSeconds") is not None:
        made[names.TERMINATION_GRACE] = str(pod_spec["terminationGracePeriodSeconds"])
    pre_stop = (container.get("lifecycle") or {}).get("preStop")
    if pre_stop:
        made[names.PRE_STOP] = json.dumps(pre_stop)
    if container.get("ports"):
        made[names.PORTS] = json.dumps(container["ports"])
    return made


def _signal(name: str) -> str:
    """SIGRTMIN+1 → SIGRTMINPLUS1, as CRI's enum spells it."""
    return name.replace("+", "PLUS").replace("-", "MINUS")
