"""A bundle on the machine that runs `apply`: verified and unpacked once, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.provision.bundle.manifest import (
    DEBS,
    IMAGES,
    NAME,
    BundleError,
    BundleManifest,
    decode,
)
from kubeinstall.provision.bundle.use import unpack_bundle

_KEPT = 2
_PACKED = "debs.tar"


@dataclass(frozen=True)
class OpenedBundle:
    """`debs` is one archive with the folder `debs/`, a repository that apt takes; `images` are preset → archive."""

    manifest: BundleManifest
    debs: Path
    images: dict[str, Path]


def open_bundle(path: Path, cache: Path | None = None) -> OpenedBundle:
    """BundleError, before anything else happens, when the bundle is damaged or of another release than this."""
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubeinstall"
    target = folder / "bundles" / _key(path)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            _unpack(path, building)
            if not target.exists():  # another run may have been faster
                building.rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        _forget_old(target.parent)
    manifest = decode((target / NAME).read_bytes())
    if (manifest.kubeinstall, manifest.kubernetes) != (__version__, KUBERNETES_VERSION):
        raise BundleError(
            f"{path}: is of kubeinstall {manifest.kubeinstall} ({manifest.kubernetes}), and this is {__version__} "
            f"({KUBERNETES_VERSION}); make a bundle with this release, or install the bundle's here first: "
            f"tar -xOf {path} install.sh | sh -s {path}"
        )
    images = {image.stem: image for image in sorted((target / IMAGES).glob("*.tar"))}
    return OpenedBundle(manifest, target / _PACKED, images)


def _unpack(path: Path, folder: Path) -> None:
    """Every file compared with the manifest; packages as one archive again, which is what a host is brought."""
    folder.mkdir()
    manifest = unpack_bundle(path, folder)
    (folder / NAME).write_bytes(manifest.encode())
    with tarfile.open(folder / _PACKED, "w") as tar:
        tar.add(folder / DEBS, DEBS)
    shutil.rmtree(folder / DEBS)


def _key(path: Path) -> str:
    """Changes when the file does."""
    try:
        state = path.stat()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    text = f"{path.resolve()} {state.st_ino} {state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.iterdir(), key=lambda item: item.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
