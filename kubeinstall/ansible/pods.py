"""Pods and images as the container runtime knows them, over CRI."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.kubelet.cri.client import CRI

T = TypeVar("T")

_STOP_SECONDS = 60.0
_AT_ONCE = 8


def reachable(endpoint: str) -> bool:
    """Whether anything answers on the runtime's socket."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(endpoint.removeprefix("unix://"))
    except OSError:
        return False
    return True


def sandboxes(endpoint: str) -> dict[str, str]:
    """Sandbox id → namespace/name."""

    async def work(cri: CRI, api: Any) -> dict[str, str]:
        answer = await cri.call("ListPodSandbox", api.ListPodSandboxRequest())
        return {item.id: f"{item.metadata.namespace}/{item.metadata.name}" for item in answer.items}

    return _with_runtime(endpoint, work)


def remove(endpoint: str, ids: Sequence[str]) -> None:
    """Stop and remove sandboxes with their containers; the runtime takes the network down.

    Containers get no grace: their cluster is going away.
    """

    async def work(cri: CRI, api: Any) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        containers = await cri.call("ListContainers", api.ListContainersRequest())
        wanted = [c.id for c in containers.containers if c.pod_sandbox_id in set(ids)]

        async def one(method: str, request: Any) -> None:
            async with gate:
                await cri.call(method, request, timeout=_STOP_SECONDS)

        stops = [api.StopContainerRequest(container_id=c, timeout=0) for c in wanted]
        await asyncio.gather(*(one("StopContainer", request) for request in stops))

        async def sandbox(name: str) -> None:
            await one("StopPodSandbox", api.StopPodSandboxRequest(pod_sandbox_id=name))
            await one("RemovePodSandbox", api.RemovePodSandboxRequest(pod_sandbox_id=name))

        await asyncio.gather(*(sandbox(name) for name in ids))

    _with_runtime(endpoint, work)


def local_images(endpoint: str) -> list[str]:
    """Names of images that kubeinstall made here."""
    from kubeinstall.ansible.image_store import image_name
    from kubeinstall.images import PRESETS

    ours = {image_name(preset) for preset in PRESETS}

    async def work(cri: CRI, api: Any) -> list[str]:
        answer = await cri.call("ListImages", api.ListImagesRequest())
        names = {tag for image in answer.images for tag in image.repo_tags}
        return sorted(names & ours)

    return _with_runtime(endpoint, work)


def remove_images(endpoint: str, names: Sequence[str]) -> None:
    """Remove images by name."""

    async def work(cri: CRI, api: Any) -> None:
        for name in names:
            spec = api.ImageSpec(image=name)
            await cri.call("RemoveImage", api.RemoveImageRequest(image=spec))

    _with_runtime(endpoint, work)


def _with_runtime(endpoint: str, work: Callable[[CRI, Any], Awaitable[T]]) -> T:
    from kubeinstall._wire.cri.v1 import api_pb2 as api
    from kubeinstall.kubelet.cri.client import CRI

    async def main() -> T:
        cri = CRI(endpoint)
        try:
            return await work(cri, api)
        except TimeoutError as error:
            raise KubeinstallError(f"the container runtime does not answer: {error}") from error
        finally:
            await cri.close()

    return asyncio.run(main())
