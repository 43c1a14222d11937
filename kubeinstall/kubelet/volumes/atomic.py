"""Files of a volume that change all at once, as upstream's atomic writer lays them out.

    volume/..2026_01_02_15_04_05.123456789/key     the content
    volume/..data -> ..2026_01_02_15_04_05.123456789
    volume/key    -> ..data/key

A new content is a new folder; renaming a link over `..data` switches every file at the same instant.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = "..data"
_NEW_DATA = "..data_tmp"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its content, mode, and owner where it must not be root."""

    data: bytes
    mode: int
    owner: int | None = None


Payload = Mapping[str, Entry]
"""Relative path → file."""


def write(target: Path, payload: Payload, group: int | None = None) -> bool:
    """Make `target` show exactly `payload`; whether anything changed.

    `group` is the pod's fsGroup: files get it and become readable by it.
    """
    previous = _current(target)
    if previous is not None and _same(previous, payload):
        return False
    moment = time.time_ns()
    prefix = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime(moment // 10**9))
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{moment % 10**9:09d}", dir=target))
    folder.chmod(0o755)
    for name, entry in payload.items():
        _write_entry(folder, name, entry)
    if group is not None:
        _give_to_group(folder, group)
    link = target / _NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.rename(target / DATA)
    _link_names(target, payload)
    if previous is not None:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def _current(target: Path) -> Path | None:
    try:
        return target / (target / DATA).readlink()
    except OSError:
        return None


def _same(folder: Path, payload: Payload) -> bool:
    try:
        present = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
        return present == set(payload) and all(
            (folder / name).read_bytes() == entry.data for name, entry in payload.items()
        )
    except OSError:
        return False


def _write_entry(folder: Path, name: str, entry: Entry) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(entry.data)
    path.chmod(entry.mode)
    if entry.owner is not None:
        os.chown(path, entry.owner, -1)


def _give_to_group(folder: Path, group: int) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        os.chown(path, -1, group)
        path.chmod(mode | (0o2550 if path.is_dir() else 0o440))


def _link_names(target: Path, payload: Payload) -> None:
    wanted = {name.split("/", 1)[0] for name in payload}
    for name in wanted:
        link = target / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for path in target.iterdir():
        if not path.name.startswith("..") and path.name not in wanted:
            path.unlink(missing_ok=True)
