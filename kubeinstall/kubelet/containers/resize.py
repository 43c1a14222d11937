"""Changing the resources of running containers (in-place resize), without a restart where the policy allows."""

from __future__ import annotations

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.kubelet.containers.kill import kill_container
from kubeinstall.kubelet.cri import ContainerStatus, PodRuntime
from kubeinstall.kubelet.cri.types import RUNNING
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.translate.container import container_limits


class Resizer:
    """Remembers what each running container was given; one that it does not know has what its spec says."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._given: dict[str, Object] = {}

    async def sync(self, pod: Object, runtime: PodRuntime) -> bool:
        """Bring running containers to their spec's resources; whether any was changed. Raises `CRIError`."""
        changed = False
        alive = {status.id for status in runtime.containers}
        for gone in self._given.keys() - alive:
            del self._given[gone]
        sidecars = [c for c in spec.init_containers(pod) if spec.is_sidecar(c)]
        for container in (*sidecars, *spec.containers(pod)):
            status = runtime.container(container["name"])
            if status is None or status.state != RUNNING:
                continue
            wanted = _sizes(container)
            have = self._given.setdefault(status.id, wanted)
            if have != wanted:
                await self._resize(pod, container, status, have, wanted)
                self._given[status.id] = wanted
                changed = True
        return changed

    async def _resize(
        self, pod: Object, container: Object, status: ContainerStatus, have: Object, wanted: Object
    ) -> None:
        parts = self._parts
        for policy in container.get("resizePolicy") or []:
            name = policy["resourceName"]
            if policy.get("restartPolicy") == "RestartContainer" and have.get(name) != wanted.get(
                name
            ):
                text = f"Container {container['name']} resize requires restart"
                await kill_container(parts, pod, status, message=text)
                return
        limits = container_limits(
            pod, container, parts.machine.memory, enforce_quota=parts.config.cpu_cfs_quota
        )
        if limits.cpu_period and not limits.cpu_quota:
            limits.cpu_quota = -1  # a limit taken away
        if not limits.memory_limit_in_bytes:
            limits.memory_limit_in_bytes = -1
        request = api.UpdateContainerResourcesRequest(container_id=status.id, linux=limits)
        await parts.cri.call("UpdateContainerResources", request)


def _sizes(container: Object) -> Object:
    asked, allowed = resources.requests(container), resources.limits(container)
    return {
        name: (str(asked.get(name, "")), str(allowed.get(name, ""))) for name in ("cpu", "memory")
    }
