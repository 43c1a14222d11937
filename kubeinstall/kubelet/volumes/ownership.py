"""fsGroup: making a volume's files belong to the pod's group."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_READ_WRITE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP
_EXECUTE = stat.S_IXUSR | stat.S_IXGRP


def set_group(folder: Path, group: int, *, policy: str = "Always") -> None:
    """Give `folder` and all below to `group`, readable and writable by it, new files inheriting it.

    With policy OnRootMismatch nothing is done where the folder itself is right already.
    """
    if policy == "OnRootMismatch" and _right(folder, group):
        return
    for base, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            _give(Path(base) / name, group)
    _give(folder, group)


def _right(folder: Path, group: int) -> bool:
    found = folder.stat()
    wanted = _READ_WRITE | _EXECUTE | stat.S_ISGID
    return found.st_gid == group and stat.S_IMODE(found.st_mode) & wanted == wanted


def _give(path: Path, group: int) -> None:
    try:
        found = path.lstat()
        os.chown(path, -1, group, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            return
        mode = stat.S_IMODE(found.st_mode) | _READ_WRITE
        if stat.S_ISDIR(found.st_mode):
            mode |= _EXECUTE | stat.S_ISGID
        path.chmod(mode)
    except FileNotFoundError:
        return  # a running container removed it meanwhile
