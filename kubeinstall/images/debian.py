"""A root directory from Debian packages, without installing anything on the host.

apt resolves the packages against an empty status file, so the set does not depend on what this host
has; the archives are unpacked and no maintainer script runs. What scripts would have made and images
need (users, merged /usr links) is made here.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kubeinstall.images.command import run
from kubeinstall.images.errors import ImageError

_SHARED = stat.S_ISVTX | stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
_USR_LINKS = ("bin", "sbin", "lib")
_LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
)


def architecture() -> str:
    """This host's Debian architecture, which the image platforms are named by too ("amd64")."""
    return run(["dpkg", "--print-architecture"]).strip()


def download(packages: Sequence[str], folder: Path, *, dependencies: bool = True) -> list[Path]:
    """Download packages (with all they depend on) into `folder`; the archives, sorted by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "partial").mkdir(exist_ok=True)
    if dependencies:
        status = folder / "status"
        status.write_text("")
        argv = ["apt-get", "install", "--download-only", "-y", "-qq", "--no-install-recommends"]
        argv += ["-o", f"Dir::State::status={status}"]
    else:
        argv = ["apt-get", "download", "-qq"]
    argv += [
        *("-o", "APT::Sandbox::User=root"),
        *("-o", f"Dir::Cache::archives={folder}"),
        *("-o", "Debug::NoLocking=true"),
    ]
    run([*argv, *packages], cwd=folder)
    return sorted(folder.glob("*.deb"))


def unpack(archives: Sequence[Path], root: Path) -> None:
    """Unpack package archives over each other into `root`, following the merged-/usr links."""
    for archive in archives:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE
        ) as reader:
            writer = subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-p", "-C", str(root)],
                stdin=reader.stdout,
                capture_output=True,
                text=True,
                check=False,
            )
        if reader.returncode or writer.returncode:
            raise ImageError(f"{archive.name} could not be unpacked: {writer.stderr.strip()}")


def make_root(packages: Sequence[str], root: Path, work: Path) -> None:
    """Fill `root` with `packages` and their dependencies."""
    for name in _USR_LINKS:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "usr/lib64").mkdir()
    (root / "lib64").symlink_to("usr/lib64")
    unpack(download(packages, work / "archives"), root)
    base = download(
        ["base-passwd", "base-files", "netbase", "media-types"],
        work / "base",
        dependencies=False,
    )
    unpack(base, root)
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    for left_out in _LEFT_OUT:
        shutil.rmtree(root / left_out, ignore_errors=True)
    make_skeleton(root)


def make_skeleton(root: Path) -> None:
    """The directories that programs expect of any root."""
    for name in ("etc", "proc", "sys", "dev", "run", "var", "root"):
        (root / name).mkdir(exist_ok=True)
    for name in ("tmp", "var/tmp"):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_SHARED)
    if not os.path.lexists(root / "var/run"):
        (root / "var/run").symlink_to("/run")
