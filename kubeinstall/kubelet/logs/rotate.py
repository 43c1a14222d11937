"""Rotating container logs: containerLogMaxSize, containerLogMaxFiles.

0.log  0.log.20260102-150405  0.log.20260102-140302.gz …
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import shutil
import time
from pathlib import Path

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.quantity import Quantity
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.cri.types import RUNNING
from kubeinstall.kubelet.runtime import Runtime
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

PERIOD_SECONDS = 10.0


class LogRotation:
    """Looks at the logs of running containers every ten seconds."""

    def __init__(self, cri: CRI, runtime: Runtime, max_size: str, max_files: int) -> None:
        self._cri = cri
        self._runtime = runtime
        self._max_size = Quantity.parse(max_size).value
        self._max_files = max(2, max_files)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            for uid in self._runtime.uids():
                for container in self._runtime.get(uid).containers:
                    if container.state == RUNNING and container.log_path:
                        with contextlib.suppress(OSError, CRIError):
                            await self.check(Path(container.log_path), container.id)

    async def check(self, path: Path, container_id: str) -> None:
        """Rotate one log if it is too large."""
        if self._max_size <= 0 or _size(path) < self._max_size:
            return
        await self._make_room(path)
        rotated = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        _rename(path, rotated)
        try:
            request = api.ReopenContainerLogRequest(container_id=container_id)
            await self._cri.call("ReopenContainerLog", request)
        except CRIError:
            _rename(rotated, path)  # the runtime still writes to it
            raise

    async def _make_room(self, path: Path) -> None:
        """Compress what was rotated before, and keep so many that the present one fits."""
        rotated = sorted(
            p for p in path.parent.glob(f"{path.name}.*") if not p.name.endswith(".tmp")
        )
        keep = self._max_files - 2
        for old in rotated[: len(rotated) - keep] if len(rotated) > keep else []:
            old.unlink(missing_ok=True)
        for old in rotated[-keep:] if keep else []:
            if old.suffix != ".gz":
                await asyncio.to_thread(_compress, old)


def _size(path: Path) -> int:
    return path.stat().st_size


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _compress(path: Path) -> None:
    target = path.with_name(f"{path.name}.gz")
    unfinished = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as source, gzip.open(unfinished, "wb") as out:
        shutil.copyfileobj(source, out)
    unfinished.rename(target)
    path.unlink()
