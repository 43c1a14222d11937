"""Making a bundle on a machine that reaches Debian's mirror."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.ansible.stages import ETCD_PACKAGES, NODE_PACKAGES
from kubeinstall.images import debian
from kubeinstall.provision.archive import controller_archive
from kubeinstall.provision.bundle.index import package_index
from kubeinstall.provision.bundle.manifest import (
    ARCHIVE,
    DEBS,
    IMAGES,
    INSTALL,
    NAME,
    SUMS,
    BundleError,
    BundleManifest,
    checksum,
    this_host,
)
from kubeinstall.provision.bundle.script import install_script
from kubeinstall.provision.ready_images import ready_images

#: With all they depend on. What a host has already is not installed again.
PACKAGES = (
    *NODE_PACKAGES,
    *ETCD_PACKAGES,
    "haproxy",
    "python3",
    "ca-certificates",
    "procps",
    "kmod",
)
PRESETS = ("pause", "busybox", "nginx")


def create_bundle(
    path: Path, say: Callable[[str], None], presets: Sequence[str] = PRESETS
) -> BundleManifest:
    """Write a bundle for hosts of this machine's Debian release, architecture and Python version."""
    if path.exists():
        raise BundleError(f"{path}: is there already")
    python, architecture, codename = this_host()
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=path.absolute().parent) as name:
        work = Path(name)
        say("packing kubeinstall and what it imports")
        archive = controller_archive(work / ARCHIVE)
        say(f"downloading {len(PACKAGES)} Debian packages with all they depend on")
        debs = work / DEBS
        archives = debian.download(PACKAGES, debs)
        (debs / "Packages").write_text(package_index(archives))
        say(f"making {len(presets)} images")
        images = ready_images(presets)
        if len(images) != len(presets):
            raise BundleError("not every image could be made; see kubeinstall image build")
        (work / INSTALL).write_text(install_script(archive, architecture, codename))
        files = {INSTALL: work / INSTALL, ARCHIVE: work / ARCHIVE}
        files |= {f"{DEBS}/{deb.name}": deb for deb in (debs / "Packages", *archives)}
        files |= {f"{IMAGES}/{image.name}": image for image in images}
        manifest = BundleManifest(
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            kubeinstall=__version__,
            kubernetes=KUBERNETES_VERSION,
            python=python,
            architecture=architecture,
            codename=codename,
            packages=PACKAGES,
            images=tuple(presets),
            files={name: checksum(file) for name, file in files.items()},
        )
        _write(path, manifest, files)
    return manifest


def _write(path: Path, manifest: BundleManifest, files: dict[str, Path]) -> None:
    """A plain tar, since what is large in it is compressed; it has its name once it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tarfile.open(partial, "w") as tar:
            for name, data in ((NAME, manifest.encode()), (SUMS, manifest.sums())):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
            for name, file in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = file.stat().st_size, 0o644
                with file.open("rb") as stream:
                    tar.addfile(entry, stream)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
