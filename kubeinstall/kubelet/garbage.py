"""Collecting what is dead: old containers and sandboxes, log folders and links, images nobody uses.

As upstream: of each container the newest dead one stays (its log and its last state are asked for), images go
when the disk is fuller than the high threshold, oldest use first, until below the low one.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.kubelet.cri import CRIError, PodRuntime
from kubeinstall.kubelet.cri.types import CREATED, EXITED
from kubeinstall.kubelet.images import is_local
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

CREATED_GRACE_SECONDS = 60.0


class Garbage:
    """`collect()` now and then; `free_images()` on disk pressure."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager
        self._parts = manager.parts
        self._image_seen: dict[str, float] = {}
        self._image_used: dict[str, float] = {}

    async def collect(self) -> None:
        """One round; the runtime being away ends it."""
        for uid in self._parts.runtime.uids():
            await self._containers(self._parts.runtime.get(uid))
        self._logs()
        self._parts.probes.forget(self._container_ids())
        await self._images()

    def _container_ids(self) -> set[str]:
        runtime = self._parts.runtime
        return {c.id for uid in runtime.uids() for c in runtime.get(uid).containers}

    async def _containers(self, found: PodRuntime) -> None:
        newest: set[str] = set()
        now = time.time()
        for container in found.containers:
            first = container.name not in newest
            newest.add(container.name)
            if container.state == EXITED and not first and self._is_second(found, container.id):
                continue  # the last state of the one that runs
            stale = (
                container.state == CREATED
                and now - container.created_at / 1e9 > CREATED_GRACE_SECONDS
            )
            if (container.state == EXITED or stale) and not first:
                await self._parts.cri.remove_container(container.id)
        keep = found.sandboxes[0].id if found.sandboxes else ""
        for sandbox in found.sandboxes:
            empty = not any(c.sandbox_id == sandbox.id for c in found.containers)
            if not sandbox.ready and sandbox.id != keep and empty:
                await self._parts.cri.remove_sandbox(sandbox.id)

    def _is_second(self, found: PodRuntime, container_id: str) -> bool:
        name = next(c.name for c in found.containers if c.id == container_id)
        same = [c for c in found.containers if c.name == name]
        return len(same) > 1 and same[1].id == container_id

    def _logs(self) -> None:
        """Folders of pods that are gone, links whose log is gone."""
        known = set(self._manager.workers) | set(self._parts.runtime.uids())
        with contextlib.suppress(OSError):
            for folder in self._parts.paths.logs.iterdir():
                if folder.name.rpartition("_")[2] not in known:
                    shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            for link in self._parts.paths.log_links.iterdir():
                if link.is_symlink() and not link.exists():
                    link.unlink(missing_ok=True)

    async def _images(self) -> None:
        config = self._parts.config
        folder = self._parts.paths.root
        listed = await self._parts.cri.list_images()
        self._note_use(listed)
        usage = shutil.disk_usage(folder)
        percent = 100 * usage.used / usage.total
        if percent < config.image_gc_high_threshold_percent:
            return
        wanted = int(usage.total * (percent - config.image_gc_low_threshold_percent) / 100)
        freed = await self.free_images(listed, wanted)
        if freed < wanted:
            log.warning("Disk stays full", wanted_bytes=wanted, freed_bytes=freed)

    def _note_use(self, listed: list[Any]) -> None:
        now = time.time()
        used = self._in_use()
        for image in listed:
            self._image_seen.setdefault(image.id, now)
            if image.id in used or used & {*image.repo_tags, *image.repo_digests}:
                self._image_used[image.id] = now
        present = {image.id for image in listed}
        for known in (self._image_seen, self._image_used):
            for gone in known.keys() - present:
                del known[gone]

    def _in_use(self) -> set[str]:
        runtime = self._parts.runtime
        return {
            ref
            for uid in runtime.uids()
            for c in runtime.get(uid).containers
            for ref in (c.image, c.image_ref, c.image_id)
            if ref
        }

    async def _made_here(self, image_id: str) -> bool:
        """Whether no registry could give the image back."""
        answer = await self._parts.cri.image_status(image_id, verbose=True)
        return answer is not None and is_local(answer)

    async def free_images(self, listed: list[Any], wanted: int) -> int:
        """Remove unused images, the longest unused first; bytes freed."""
        used = self._in_use()
        now, freed = time.time(), 0
        ordered = sorted(
            listed, key=lambda i: (self._image_used.get(i.id, 0), self._image_seen.get(i.id, 0))
        )
        for image in ordered:
            if freed >= wanted:
                break
            names = {image.id, *image.repo_tags, *image.repo_digests}
            pinned = image.pinned or any("pause" in name for name in image.repo_tags)
            young = (
                now - self._image_seen.get(image.id, now) < self._parts.config.image_minimum_gc_age
            )
            if pinned or names & used or young or await self._made_here(image.id):
                continue
            with contextlib.suppress(CRIError):
                request = api.RemoveImageRequest(image=api.ImageSpec(image=image.id))
                await self._parts.cri.call("RemoveImage", request)
                freed += image.size
        return freed


def log_files(folder: Path) -> list[Path]:
    """The log files of one container, oldest first."""
    return sorted(folder.glob("*.log*"), key=lambda p: p.stat().st_mtime)
