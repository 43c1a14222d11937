"""hostPath types, checked and made as upstream does."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from kubeinstall.kubelet.volumes.payload import PayloadProblem

_FILE_TYPES: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def prepare(path: Path, kind: str) -> None:
    """Check what is at `path`, or make it for the …OrCreate types; raises `PayloadProblem`."""
    if not kind:
        return
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    if kind == "FileOrCreate" and not path.exists():
        try:
            path.touch(mode=0o644)
        except OSError as error:
            raise PayloadProblem(f"open {path}: {(error.strerror or '').lower()}") from error
    check, words = _FILE_TYPES[kind.removesuffix("OrCreate")]
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if not check(mode):
        raise PayloadProblem(f"hostPath type check failed: {path} is not {words}")
