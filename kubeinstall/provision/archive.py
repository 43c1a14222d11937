"""The runtime archive: kubeinstall and what its components import, as one file to unpack on a host.

It is made from what is installed here, so hosts run the very versions that were tested together, and no host needs a
package index. Left out is what only the controller uses (Ansible, SSH). The archive's id covers every file, Python
version and machine; the same id is the same runtime, so a second run copies nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import platform
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import kubeinstall

#: Requirements of kubeinstall that no host needs.
CONTROLLER_ONLY = frozenset({"ansible-core", "ansible-runner", "fabric"})
_SKIPPED_PARTS = frozenset({"__pycache__", "tests", "testing"})
_SKIPPED_SUFFIXES = (".pyi", ".pxd", ".pyx", ".c", ".h", ".a")
_LEVEL = 1  # of compression: a host's disk and link are not what is scarce


@dataclass(frozen=True, slots=True)
class Archive:
    """A runtime archive on this machine. `python` is e.g. "3.11", `machine` e.g. "x86_64"."""

    path: Path
    id: str
    python: str
    machine: str


def runtime_archive(cache: Path | None = None) -> Archive:
    """The archive of what is installed here, made unless it is in the cache (a few seconds)."""
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubeinstall"
    files = dict(sorted(_files()))
    identity = _identity(files)
    path = folder / f"runtime-{identity}.tar.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        building = path.with_suffix(f".{os.getpid()}")
        _write(building, files)
        building.replace(path)
        for old in sorted(folder.glob("runtime-*.tar.gz"), key=lambda p: p.stat().st_mtime)[:-3]:
            old.unlink(missing_ok=True)
    return Archive(path, identity, _python(), platform.machine())


def controller_archive(path: Path) -> Archive:
    """Write an archive with everything: Ansible, SSH, playbooks and roles too, for a host that installs itself."""
    from kubeinstall.provision.share import COLLECTION, collections, shared

    files = dict(_files(frozenset()))
    folders = {name: shared(name) for name in ("playbooks", "roles")}
    folders["plugins"] = collections() / COLLECTION / "plugins"
    for name, folder in folders.items():
        files.update(
            (f"{COLLECTION}/{name}/{file.relative_to(folder)}", file)
            for file in folder.rglob("*")
            if file.is_file() and _wanted(file.relative_to(folder))
        )
    files = dict(sorted(files.items()))
    _write(path, files)
    return Archive(path, _identity(files), _python(), platform.machine())


def _files(excluded: frozenset[str] = CONTROLLER_ONLY) -> Iterator[tuple[str, Path]]:
    """Path below site-packages → file here."""
    package = Path(kubeinstall.__file__).parent
    for path in package.rglob("*"):
        name = f"kubeinstall/{path.relative_to(package)}"
        if path.is_file() and _wanted(Path(name)):
            yield name, path
    for distribution in _closure(excluded):
        for item in distribution.files or ():
            if ".." not in item.parts and _wanted(Path(item)):
                path = Path(str(distribution.locate_file(item)))
                if path.is_file():
                    yield str(item), path


def _wanted(name: Path) -> bool:
    return not _SKIPPED_PARTS & set(name.parts) and not name.name.endswith(_SKIPPED_SUFFIXES)


def _closure(excluded: frozenset[str] = CONTROLLER_ONLY) -> Iterator[metadata.Distribution]:
    """The distributions that kubeinstall needs on a host, and theirs."""
    pending = [name for name in _requirements("kubeinstall") if name not in excluded]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        yield metadata.distribution(name)
        pending += _requirements(name)


def _requirements(name: str) -> list[str]:
    """Names that a distribution requires here: no extras, markers evaluated."""
    from packaging.requirements import Requirement

    found = []
    for text in metadata.distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(re.sub(r"[-_.]+", "-", requirement.name).lower())
    return found


def _identity(files: dict[str, Path]) -> str:
    """A digest over names, sizes and contents of ours; of others' over names and versions in their metadata."""
    digest = hashlib.sha256(f"{_python()} {platform.machine()}\n".encode())
    for name, path in files.items():
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        if name.startswith("kubeinstall/") or name.endswith(".dist-info/RECORD"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _write(path: Path, files: dict[str, Path]) -> None:
    """Owner, times and order do not vary: equal input is an equal archive."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, source in files.items():
            content = source.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
