"""Taking what a host needs out of a bundle, so that nothing is left for which a mirror would be asked."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from kubeinstall.ansible import paths
from kubeinstall.ansible.image_store import ARCHIVES
from kubeinstall.ansible.packages import install_from, missing
from kubeinstall.provision.bundle.manifest import (
    DEBS,
    IMAGES,
    NAME,
    SUMS,
    BundleError,
    BundleManifest,
    decode,
    this_host,
)

_BLOCK = 1 << 20
#: A containerd or kubectl from elsewhere is good enough, as for the roles.
_UNLESS = {
    "containerd": "containerd",
    "runc": "runc",
    "kubernetes-client": "kubectl",
    "python3": "python3",
}
#: Only members of a cluster of several hosts need these; the bundle has them for whoever asks.
_NOT_HERE = frozenset({"etcd-server", "etcd-client", "haproxy"})


def install_bundle(path: Path, say: Callable[[str], None]) -> BundleManifest:
    """Install the packages that are missing here and lay the images where `init` looks first.

    BundleError before anything is changed when the bundle is damaged or for other hosts.
    """
    paths.STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=paths.STATE) as name:
        work = Path(name)
        manifest = unpack_bundle(path, work)
        _refuse_foreign(path, manifest)
        wanted = [package for package in manifest.packages if package not in _NOT_HERE]
        absent = missing(wanted, _UNLESS)
        if absent:
            say(f"installing {' '.join(absent)} from the bundle")
            install_from(work / DEBS, absent)
        ARCHIVES.mkdir(parents=True, exist_ok=True)
        for image in sorted((work / IMAGES).glob("*.tar")):
            if not (ARCHIVES / image.name).exists():
                shutil.move(image, ARCHIVES / image.name)
    return manifest


def unpack_bundle(path: Path, target: Path) -> BundleManifest:
    """Everything the manifest names, each with the content that it names, below `target`."""
    try:
        with tarfile.open(path) as tar:
            entry = tar.next()
            stream = tar.extractfile(entry) if entry is not None and entry.name == NAME else None
            if stream is None:
                raise BundleError(f"{path}: is no bundle: it does not begin with a manifest")
            manifest = decode(stream.read())
            wanted = dict(manifest.files)
            while (entry := tar.next()) is not None:
                if entry.name == SUMS:
                    continue
                digest = wanted.pop(entry.name, None)
                if digest is None:
                    raise BundleError(f"{path}: has {entry.name}, which its manifest does not name")
                if _take(tar, entry, target) != digest:
                    raise BundleError(f"{path}: {entry.name} is damaged")
    except (OSError, tarfile.TarError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    if wanted:
        raise BundleError(f"{path}: lacks {min(wanted)}")
    return manifest


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> str:
    parts = PurePosixPath(entry.name).parts
    stream = tar.extractfile(entry)
    if stream is None or entry.name.startswith("/") or ".." in parts:
        raise BundleError(f"{entry.name}: has no place in a bundle")
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as out:
        while block := stream.read(_BLOCK):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def _refuse_foreign(path: Path, manifest: BundleManifest) -> None:
    python, architecture, codename = this_host()
    theirs = (manifest.python, manifest.architecture, manifest.codename)
    if theirs != (python, architecture, codename):
        raise BundleError(
            f"{path}: is for Debian {manifest.codename} on {manifest.architecture} with Python {manifest.python}; "
            f"this is {codename} on {architecture} with Python {python}"
        )
