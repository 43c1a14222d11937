"""mount(2) and umount2(2), and what is mounted now."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2); raises OSError."""
    if _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, flags, data.encode() or None
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source}: {os.strerror(number)}", str(target))


def unmount(target: Path) -> bool:
    """Detach what is mounted on `target`; False where nothing is."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW):
        number = ctypes.get_errno()
        if number in (22, 2):  # EINVAL: no mount point; ENOENT
            return False
        raise OSError(number, f"umount: {os.strerror(number)}", str(target))
    return True


def is_mount_point(path: Path) -> bool:
    """Whether a file system of its own is on `path` (bind mounts of the same device are not seen)."""
    return path.is_mount()


def mounts_under(folder: Path) -> list[Path]:
    """Mount points at or below `folder`, deepest first."""
    prefix = str(folder)
    found = []
    with Path("/proc/self/mountinfo").open() as table:
        for line in table:
            point = line.split(" ", 5)[4].encode().decode("unicode_escape")
            if point == prefix or point.startswith(prefix + "/"):
                found.append(point)
    return [Path(point) for point in sorted(found, key=len, reverse=True)]
