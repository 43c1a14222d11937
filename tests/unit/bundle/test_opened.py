"""A bundle where `apply` runs: opened once, refused when it is damaged or of another release."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.provision.bundle.create import _write
from kubeinstall.provision.bundle.manifest import BundleError, BundleManifest, checksum
from kubeinstall.provision.bundle.opened import open_bundle


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"debs/Packages": b"Package: x\n", "debs/x.deb": b"deb", "images/pause.tar": b"tar"}
    found = {}
    for number, (name, content) in enumerate(contents.items()):
        found[name] = tmp_path / f"file{number}"
        found[name].write_bytes(content)
    return found


def manifest_of(files: dict[str, Path]) -> BundleManifest:
    return BundleManifest(
        created="2026-01-01T00:00:00Z",
        kubeinstall=__version__,
        kubernetes=KUBERNETES_VERSION,
        python="3.11",
        architecture="amd64",
        codename="bookworm",
        packages=("x",),
        images=("pause",),
        files={name: checksum(path) for name, path in files.items()},
    )


def test_packages_become_one_archive_and_images_stay_files(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    _write(tmp_path / "b", manifest_of(files), files)
    bundle = open_bundle(tmp_path / "b", tmp_path / "cache")
    assert bundle.manifest == manifest_of(files)
    with tarfile.open(bundle.debs) as tar:
        assert {"debs/Packages", "debs/x.deb"} <= set(tar.getnames())
    assert bundle.images["pause"].read_bytes() == b"tar"


def test_the_same_file_is_unpacked_once_and_a_changed_one_again(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    _write(tmp_path / "b", manifest_of(files), files)
    first = open_bundle(tmp_path / "b", tmp_path / "cache")
    made = first.debs.stat().st_ino
    assert open_bundle(tmp_path / "b", tmp_path / "cache").debs.stat().st_ino == made
    data = (tmp_path / "b").read_bytes().replace(b"Package: x", b"Package: y")
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(BundleError, match="debs/Packages is damaged"):
        open_bundle(tmp_path / "b", tmp_path / "cache")
    assert not list((tmp_path / "cache/bundles").glob(".*")), "what was begun is left"


def test_another_release_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    _write(tmp_path / "b", replace(manifest_of(files), kubeinstall="0.0.9"), files)
    with pytest.raises(BundleError, match=r"is of kubeinstall 0\.0\.9 .* and this is"):
        open_bundle(tmp_path / "b", tmp_path / "cache")


def test_only_the_last_ones_are_kept(tmp_path: Path, files: dict[str, Path]) -> None:
    for name in "abcd":
        _write(tmp_path / name, manifest_of(files), files)
        open_bundle(tmp_path / name, tmp_path / "cache")
    assert len(list((tmp_path / "cache/bundles").iterdir())) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing: cannot be read: No such file"):
        open_bundle(tmp_path / "nothing", tmp_path / "cache")
