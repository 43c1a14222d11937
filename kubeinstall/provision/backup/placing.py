"""Putting a backup's files in place: all of them or none.

What was there goes to `/var/lib/kubeinstall/replaced-TIME` first, and comes back when anything fails. A file
`/var/lib/kubeinstall/restoring` stands there from the first change until the restored cluster runs, so that a run that
broke off is known as one, and the next may clear up after it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kubeinstall.ansible import paths
from kubeinstall.provision.backup.manifest import DATASTORE, FILES, BackupError

MARK = paths.STATE / "restoring"


@dataclass
class Placing:
    """Moves of one restore. `undo()` takes them back, `done()` forgets them."""

    aside: Path
    moved: list[tuple[Path, Path]] = field(default_factory=list)
    placed: list[Path] = field(default_factory=list)

    def clear(self, path: Path) -> None:
        """Take away what is at `path`, if anything is."""
        if not path.exists() and not path.is_symlink():
            return
        self.aside.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = self.aside / f"{len(self.moved)}-{path.name}"
        shutil.move(path, kept)
        self.moved.append((path, kept))

    def place(self, source: Path, path: Path) -> None:
        """Move `source`, a file or folder, to `path`, from where `clear` took what was there."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.placed.append(path)
        shutil.move(source, path)

    def undo(self) -> None:
        """What was there before is there again."""
        for path in self.placed:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path, kept in reversed(self.moved):
            shutil.move(kept, path)
        if self.aside.is_dir():
            self.aside.rmdir()


def new_placing() -> Placing:
    """What is replaced goes to a folder of this moment."""
    return Placing(paths.STATE / f"replaced-{time.strftime('%Y%m%dT%H%M%S')}")


def place_all(staging: Path, placing: Placing) -> None:
    """Put the unpacked backup below `staging` in place; on failure everything is as it was, and the error goes on."""
    try:
        database = paths.DATASTORE
        for path in (*_sidecars(database), database):
            placing.clear(path)
        for source, target in _trees(staging):
            placing.clear(target)
            placing.place(source, target)
        placing.place(staging / DATASTORE, database)
    except BaseException:
        placing.undo()
        raise


def _sidecars(database: Path) -> Iterator[Path]:
    yield from (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))


def _trees(staging: Path) -> Iterator[tuple[Path, Path]]:
    """Folder in the backup → where it goes: /etc/kubernetes as a whole, others by folder."""
    root = staging / FILES.rstrip("/")
    own = root / str(paths.KUBERNETES).lstrip("/")
    if not own.is_dir():
        raise BackupError(f"the backup lacks {paths.KUBERNETES}")
    yield own, paths.KUBERNETES
    kubelet = root / str(paths.KUBELET / "pki").lstrip("/")
    if kubelet.is_dir():
        yield kubelet, paths.KUBELET / "pki"
    for authority in sorted(root.rglob("ca.crt")):
        folder = authority.parent
        if own in authority.parents or kubelet in authority.parents or folder.name == "etcd":
            continue
        yield folder, Path("/") / folder.relative_to(root)
