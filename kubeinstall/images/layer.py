"""A directory as one image layer: a tar whose bytes depend on the content alone."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

_EPOCH = 0


def write_layer(root: Path, target: Path) -> str:
    """Write `root` as an uncompressed layer to `target`; its hex SHA-256.

    Reproducible: entries are sorted, times are zero, owners are numeric.
    """
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        seen: dict[tuple[int, int], str] = {}
        for path in _sorted_tree(root):
            _add(archive, root, path, seen)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sorted_tree(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        base = Path(folder)
        found.extend(base / name for name in (*folders, *files))
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def _add(
    archive: tarfile.TarFile, root: Path, path: Path, seen: dict[tuple[int, int], str]
) -> None:
    name = str(path.relative_to(root))
    stat = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = stat.st_mode & 0o7777, stat.st_uid, stat.st_gid
    info.mtime = _EPOCH
    if path.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(info)
    elif path.is_dir():
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif path.is_file():
        identity = (stat.st_dev, stat.st_ino)
        if stat.st_nlink > 1 and identity in seen:
            info.type, info.linkname = tarfile.LNKTYPE, seen[identity]
            archive.addfile(info)
            return
        seen[identity] = name
        info.size = stat.st_size
        with path.open("rb") as content:
            archive.addfile(info, content)
