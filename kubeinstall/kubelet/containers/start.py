"""Starting one container: image, configuration, create, start, postStart."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.kubelet.containers.hooks import HookFailed, run_hook
from kubeinstall.kubelet.containers.kill import kill_container
from kubeinstall.kubelet.containers.mounts import (
    hosts_mount,
    make_mounts,
    termination_mount,
)
from kubeinstall.kubelet.cri import CRIError, PodRuntime
from kubeinstall.kubelet.cri.types import RUNNING, ContainerStatus
from kubeinstall.kubelet.images import Image, ImageProblem
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.translate.container import ContainerInputs, container_config
from kubeinstall.kubelet.translate.environment import Surroundings, make_environment
from kubeinstall.kubelet.volumes.manager import Mounted
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")


class StartProblem(KubeinstallError):
    """A container did not start. `reason` and `message` are what its waiting state says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


async def start_container(
    parts: Parts,
    pod: Object,
    container: Object,
    runtime: PodRuntime,
    sandbox_id: str,
    sandbox_config: Any,
    volumes: Mapping[str, Mounted],
    pod_ips: list[str],
) -> None:
    """Raises `StartProblem`; the events have been sent by then."""
    path = spec.field_path(pod, container)

    def event(kind: str, reason: str, text: str) -> None:
        parts.recorder.event(pod, kind, reason, text, field_path=path)

    try:
        image = await parts.images.ensure(pod, container, sandbox_config)
    except ImageProblem as error:
        event("Warning", "Failed", f"Error: {error.reason}")
        raise StartProblem(error.reason, error.message) from error

    for mount in container.get("volumeMounts") or []:
        problem = volumes[mount["name"]].problem if mount["name"] in volumes else None
        if problem is not None:
            raise StartProblem(problem.reason, problem.message)

    attempt = _attempt(parts, pod, container, runtime)
    try:
        config = await _config(
            parts, pod, container, runtime, image, attempt, dict(volumes), pod_ips
        )
    except (KubeinstallError, OSError, ValueError) as error:
        text = error.message if isinstance(error, StatusError) else str(error)
        event("Warning", "Failed", f"Error: {text}")
        raise StartProblem("CreateContainerConfigError", text) from error

    log_folder = parts.paths.logs / spec.log_folder_name(pod) / container["name"]
    log_folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        async with parts.creating:
            answer = await parts.cri.call(
                "CreateContainer",
                api.CreateContainerRequest(
                    pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config
                ),
            )
    except CRIError as error:
        event("Warning", "Failed", f"Error: {error.message}")
        raise StartProblem("CreateContainerError", error.message) from error
    container_id = answer.container_id
    parts.allocations.set_actuated(spec.uid(pod), container)
    event("Normal", "Created", "Container created")
    try:
        await parts.cri.call("StartContainer", api.StartContainerRequest(container_id=container_id))
    except CRIError as error:
        event("Warning", "Failed", f"Error: {error.message}")
        raise StartProblem("RunContainerError", error.message) from error
    event("Normal", "Started", "Container started")
    _link_log(parts, pod, container, container_id, Path(config.log_path))
    await _post_start(parts, pod, container, container_id, pod_ips)


def _attempt(parts: Parts, pod: Object, container: Object, runtime: PodRuntime) -> int:
    """The restart count of the new container: one more than the last, or than the last log says."""
    last = runtime.container(container["name"])
    if last is not None:
        return last.restart_count + 1
    known = parts.status.get(pod)
    for member in ("containerStatuses", "initContainerStatuses"):
        for status in known.get(member) or []:
            if status["name"] == container["name"] and status.get("containerID"):
                return int(status.get("restartCount") or 0) + 1
    folder = parts.paths.logs / spec.log_folder_name(pod) / container["name"]
    with contextlib.suppress(OSError):
        numbers = [int(p.stem) for p in folder.glob("*.log") if p.stem.isdigit()]
        if numbers:
            return max(numbers) + 1
    return 0


async def _config(
    parts: Parts,
    pod: Object,
    container: Object,
    runtime: PodRuntime,
    image: Image,
    attempt: int,
    volumes: dict[str, Mounted],
    pod_ips: list[str],
) -> Any:
    uid = spec.uid(pod)

    async def fetch(resource: str, namespace: str, name: str) -> Object:
        return await parts.objects.get(uid, resource, namespace, name)

    around = Surroundings(fetch, parts.services(), pod_ips, parts.node_ips, parts.allocatable)
    environment = await make_environment(pod, container, around)
    made = make_mounts(pod, container, volumes, environment, parts.paths)
    hosts = hosts_mount(pod, container, pod_ips, parts.config.cluster_domain, parts.paths)
    extra = [hosts] if hosts else []
    extra.append(termination_mount(pod, container, parts.paths))
    given = ContainerInputs(
        image=image.ref,
        image_uid=image.uid,
        image_user=image.user,
        attempt=attempt,
        environment=environment,
        mounts=[*made.mounts, *extra],
        devices=made.devices,
        memory_capacity=parts.machine.memory,
        seccomp_root=parts.paths.seccomp,
        seccomp_default=parts.config.seccomp_default,
        cgroup_v2=parts.machine.cgroup_v2,
        enforce_quota=parts.config.cpu_cfs_quota,
        target_id=_target(container, runtime),
        apparmor=parts.machine.apparmor,
    )
    return container_config(pod, container, given)


def _target(container: Object, runtime: PodRuntime) -> str:
    """The container whose processes an ephemeral container shares."""
    name = container.get("targetContainerName")
    if not name:
        return ""
    found = runtime.container(name)
    if found is None or found.state != RUNNING:
        raise StartProblem(
            "CreateContainerConfigError",
            f'unable to find target container "{name}"',
        )
    return found.id


def _link_log(
    parts: Parts, pod: Object, container: Object, container_id: str, log_path: Path
) -> None:
    """`/var/log/containers/<pod>_<namespace>_<container>-<id>.log`, for log collectors."""
    target = parts.paths.logs / spec.log_folder_name(pod) / log_path
    name = f"{spec.name(pod)}_{spec.namespace(pod)}_{container['name']}-{container_id}.log"
    folder = parts.paths.log_links
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)


async def _post_start(
    parts: Parts, pod: Object, container: Object, container_id: str, pod_ips: list[str]
) -> None:
    handler = (container.get("lifecycle") or {}).get("postStart")
    if not handler:
        return
    ip = pod_ips[0] if pod_ips else ""
    try:
        await run_hook(parts.cri, pod, container, container_id, handler, ip)
    except HookFailed as error:
        log.info("postStart failed", pod=spec.full_name(pod), error=str(error))
        parts.recorder.event(
            pod, "Warning", "FailedPostStartHook", "PostStartHook failed",
            field_path=spec.field_path(pod, container),
        )  # fmt: skip
        status = ContainerStatus(container_id, container["name"], "", RUNNING, 0)
        with contextlib.suppress(CRIError):
            await kill_container(
                parts, pod, status, message=f"FailedPostStartHook: {container['name']}"
            )
        raise StartProblem("PostStartHookError", str(error)) from error
