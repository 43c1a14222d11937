"""subPath: a part of a volume, bound so that no container can swap it for a link elsewhere.

The path is resolved with all its links, must end inside the volume, and is then opened step by step
without following any; what was opened, not what the name says later, is bind mounted.
"""

from __future__ import annotations

import os
from pathlib import Path

from kubeinstall.kubelet.volumes import mounts
from kubeinstall.kubelet.volumes.payload import PayloadProblem


def bind(volume: Path, sub_path: str, target: Path) -> None:
    """Bind `sub_path` of `volume` to `target`; a missing directory is made. Raises `PayloadProblem`."""
    if sub_path.startswith("/") or ".." in Path(sub_path).parts:
        raise PayloadProblem(f"subPath {sub_path!r} must stay inside the volume")
    base = volume.resolve()
    _make_missing(base, sub_path)
    resolved = (base / sub_path).resolve()
    if not resolved.is_relative_to(base):
        raise PayloadProblem(
            f"failed to prepare subPath for volumeMount: {sub_path!r} leaves the volume"
        )
    handle = _open_without_links(base, resolved.relative_to(base))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mounts.unmount(target)
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112 - a magic link, not a path
            target.mkdir(exist_ok=True)
        else:
            target.touch(exist_ok=True)
        mounts.mount(f"/proc/self/fd/{handle}", target, flags=mounts.MS_BIND | mounts.MS_REC)
    finally:
        os.close(handle)


def _make_missing(base: Path, sub_path: str) -> None:
    """Make missing directories below what exists, never through a link out of the volume."""
    existing = base
    missing: list[str] = []
    for part in Path(sub_path).parts:
        candidate = existing / part
        if missing or not os.path.lexists(candidate):
            missing.append(part)
        else:
            existing = candidate
    if not missing:
        return
    resolved = existing.resolve()
    if not resolved.is_relative_to(base):
        raise PayloadProblem(f"subPath {sub_path!r} leaves the volume")
    mode = resolved.stat().st_mode & 0o7777
    for part in missing:
        resolved = resolved / part
        resolved.mkdir(exist_ok=True)
        resolved.chmod(mode)


def _open_without_links(base: Path, relative: Path) -> int:
    handle = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    for part in relative.parts:
        following = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=handle)
        os.close(handle)
        handle = following
    return handle
