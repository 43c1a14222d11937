"""Volumes of kind `image`: what an image holds, read-only, below a container's path.

The runtimes of Debian's releases cannot mount images through CRI (that came with containerd 2.1), so
containerd's own client makes a read-only snapshot of the image and mounts it in the pod's folder; every
container then gets an ordinary bind mount. Works the same with all versions of containerd.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.volumes import mounts

if TYPE_CHECKING:
    from kubeinstall.kubelet.images import Images

PLUGIN = "image"
_NAMESPACE = "k8s.io"  # where containerd keeps what CRI pulled
_SECONDS = 60.0


class ImageMountProblem(KubeinstallError):
    """The image is there but could not be mounted."""


class ImageVolumes:
    """Mounts images and lets go of them. `endpoint` is the runtime's, `unix:///…`."""

    def __init__(self, images: Images, endpoint: str) -> None:
        self._images = images
        self._address = endpoint.removeprefix("unix://")

    async def set_up(self, pod: Object, volume: Object, target: Path) -> None:
        """Pull as the policy says, and mount on `target`; nothing to do where it is mounted.

        Raises `ImageProblem` and `ImageMountProblem`.
        """
        if target in mounts.mounts_under(target):
            return
        source = volume["image"]
        image = await self._images.ensure(
            pod,
            {
                "name": volume["name"],
                "image": source.get("reference") or "",
                "imagePullPolicy": source.get("pullPolicy"),
            },
            None,
        )
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        await self._release(target)  # a snapshot outlives the mount when the host restarts
        code, text = await self._ctr("images", "mount", image.ref, str(target))
        if code:
            raise ImageMountProblem(f"mount image {source.get('reference')}: {text}")

    async def tear_down(self, folder: Path) -> None:
        """Let go of the snapshots of a pod whose mounts are gone; `folder` is the pod's."""
        for target in (folder / "volumes" / f"kubernetes.io~{PLUGIN}").glob("*"):
            await self._release(target)

    async def _release(self, target: Path) -> None:
        """Where there is none, or it is gone already, that is as good."""
        await self._ctr("snapshots", "rm", str(target))
        await self._ctr("leases", "rm", str(target))

    async def _ctr(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "ctr", "--address", self._address, "--namespace", _NAMESPACE, *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_SECONDS):
                _, errors = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise ImageMountProblem(
                f"ctr {arguments[0]} did not end in {_SECONDS:.0f} s"
            ) from error
        return process.returncode or 0, errors.decode(errors="replace").strip()[-500:]
