"""Changing the resources of running containers (in-place resize), without a restart where the policy allows."""

from __future__ import annotations

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.allocation import POD, resizable
from kubeinstall.kubelet.containers.kill import kill_container
from kubeinstall.kubelet.cri import ContainerStatus, CRIError, PodRuntime
from kubeinstall.kubelet.cri.types import RUNNING
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.translate.container import container_limits


class ResizeProblem(KubeinstallError):
    """A resize that was begun cannot go on now; it is tried again."""


async def resize_containers(parts: Parts, pod: Object, runtime: PodRuntime) -> bool:
    """Bring running containers to what `pod` was given; whether any was changed.

    Raises `ResizeProblem` where a container cannot be changed now. A container of which nothing is known has what
    its spec says: it was started by a kubelet that kept no record.
    """
    changed = False
    uid = spec.uid(pod)
    for container in resizable(pod):
        status = runtime.container(container["name"])
        if status is None or status.state != RUNNING:
            continue
        have = parts.allocations.actuated(uid, container["name"])
        if have is None:
            parts.allocations.set_actuated(uid, container)
            continue
        whole = parts.allocations.actuated(uid, POD) or pod["spec"].get("resources") or {}
        before = {"spec": {"resources": whole}}, {"resources": have}
        if _held(*before) != _held(pod, container):
            changed = True
            if not await _resize(parts, pod, container, status, have):
                continue  # started anew, it has them from the beginning
        parts.allocations.set_actuated(uid, container)
    return changed


async def _resize(
    parts: Parts, pod: Object, container: Object, status: ContainerStatus, have: Object
) -> bool:
    """Whether the running container has its new resources now; it was stopped where its policy says so."""
    wanted = container.get("resources") or {}
    for policy in container.get("resizePolicy") or []:
        name = policy["resourceName"]
        if policy.get("restartPolicy") == "RestartContainer" and _sizes(have)[name] != _sizes(
            wanted
        ).get(name):
            text = f"Container {container['name']} resize requires restart"
            await kill_container(parts, pod, status, message=text)
            return False
    await _check_memory(parts, container, status, have)
    limits = container_limits(
        pod, container, parts.machine.memory, enforce_quota=parts.config.cpu_cfs_quota
    )
    if limits.cpu_period and not limits.cpu_quota:
        limits.cpu_quota = -1  # a limit taken away
    if not limits.memory_limit_in_bytes:
        limits.memory_limit_in_bytes = -1
    request = api.UpdateContainerResourcesRequest(container_id=status.id, linux=limits)
    try:
        await parts.cri.call("UpdateContainerResources", request)
    except CRIError as error:
        raise ResizeProblem(f"failed to update container {container['name']}: {error}") from error
    return True


async def _check_memory(
    parts: Parts, container: Object, status: ContainerStatus, have: Object
) -> None:
    """A limit below what is in use would have the kernel kill the container: wait until it uses less."""
    before = resources.limits({"resources": have}).get("memory")
    limit = resources.limits(container).get("memory")
    if limit is None or (before is not None and limit >= before):
        return
    answer = await parts.cri.call(
        "ContainerStats", api.ContainerStatsRequest(container_id=status.id)
    )
    used = answer.stats.memory.working_set_bytes.value
    if used > limit.value:
        raise ResizeProblem(
            f'attempting to set container "{container["name"]}" memory limit ({limit.value}) '
            f"below current usage ({used})"
        )


def _held(pod: Object, container: Object) -> tuple[Object, Object]:
    """What the container's cgroup shows: its requests, and limits that it has or inherits."""
    allowed = resources.effective_limits(pod, container)
    limited = {name: str(allowed.get(name, "")) for name in ("cpu", "memory")}
    return _sizes(container.get("resources") or {}), limited


def _sizes(listed: Object) -> dict[str, tuple[str, str]]:
    member = {"resources": listed}
    asked, allowed = resources.requests(member), resources.limits(member)
    return {
        name: (str(asked.get(name, "")), str(allowed.get(name, ""))) for name in ("cpu", "memory")
    }
