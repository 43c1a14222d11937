"""Bundles: whole or refused, and a folder of packages that apt takes as a repository."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kubeinstall.ansible import paths
from kubeinstall.provision.archive import Archive
from kubeinstall.provision.bundle import use
from kubeinstall.provision.bundle.create import _write
from kubeinstall.provision.bundle.index import package_index
from kubeinstall.provision.bundle.manifest import (
    INSTALL,
    BundleError,
    BundleManifest,
    checksum,
    this_host,
)
from kubeinstall.provision.bundle.script import install_script
from kubeinstall.provision.bundle.use import unpack_bundle


def manifest_of(files: dict[str, Path]) -> BundleManifest:
    python, architecture, codename = this_host()
    sums = {name: checksum(path) for name, path in files.items()}
    return BundleManifest(
        "2026-01-01T00:00:00Z", "0", "v1", python, architecture, codename, (), (), sums
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "a").write_bytes(b"content" * 1000)
    return {"debs/a": tmp_path / "a"}


def test_round_trip(tmp_path: Path, files: dict[str, Path]) -> None:
    _write(tmp_path / "b", manifest_of(files), files)
    assert unpack_bundle(tmp_path / "b", tmp_path / "out") == manifest_of(files)
    assert (tmp_path / "out/debs/a").read_bytes() == b"content" * 1000


def test_damage_is_named(tmp_path: Path, files: dict[str, Path]) -> None:
    _write(tmp_path / "b", manifest_of(files), files)
    data = (tmp_path / "b").read_bytes().replace(b"contentcontent", b"contentCONTENT", 1)
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(BundleError, match="debs/a is damaged"):
        unpack_bundle(tmp_path / "b", tmp_path / "out")


def test_a_missing_file_is_named(tmp_path: Path, files: dict[str, Path]) -> None:
    manifest = manifest_of({**files, "debs/z": files["debs/a"]})
    _write(tmp_path / "b", manifest, files)
    with pytest.raises(BundleError, match="lacks debs/z"):
        unpack_bundle(tmp_path / "b", tmp_path / "out")


def test_a_bundle_for_other_hosts_is_refused(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path)
    _write(tmp_path / "b", replace(manifest_of(files), codename="sarge"), files)
    with pytest.raises(BundleError, match="is for Debian sarge"):
        use.install_bundle(tmp_path / "b", print)


def make_package(folder: Path, name: str, depends: str = "") -> Path:
    root = folder / f"{name}.root"
    (root / "DEBIAN").mkdir(parents=True)
    extra = f"Depends: {depends}\n" if depends else ""
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@x>\n{extra}Description: x\n"
    )
    target = folder / "debs" / f"{name}_1.0_all.deb"
    target.parent.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", str(root), str(target)], check=True)
    return target


def test_apt_resolves_from_the_index_alone(tmp_path: Path) -> None:
    debs = [
        make_package(tmp_path, "kubeinstall-test-a", "kubeinstall-test-b"),
        make_package(tmp_path, "kubeinstall-test-b"),
    ]
    (tmp_path / "debs/Packages").write_text(package_index(debs))
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "archives/partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path}/debs ./\n")
    options = [
        f"Dir::Etc::sourcelist={tmp_path}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={tmp_path}/lists",
        f"Dir::Cache::archives={tmp_path}/archives",
        "Dir::Cache::pkgcache=",
        "Dir::Cache::srcpkgcache=",
        "APT::Sandbox::User=root",
        "Debug::NoLocking=true",
    ]
    flags = [word for option in options for word in ("-o", option)]
    subprocess.run(["apt-get", "-qq", *flags, "update"], check=True)
    shown = subprocess.run(
        ["apt-get", *flags, "install", "--simulate", "--yes", "kubeinstall-test-a"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Inst kubeinstall-test-b" in shown
    assert "Inst kubeinstall-test-a" in shown


def test_a_broken_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"no package")
    with pytest.raises(BundleError, match=r"x\.deb"):
        package_index([tmp_path / "x.deb"])


def test_the_script_refuses_a_damaged_bundle_before_it_changes_anything(tmp_path: Path) -> None:
    python, architecture, codename = this_host()
    archive = Archive(tmp_path / "packages.tar.gz", "0123456789abcdef", python, "x86_64")
    script = install_script(archive, architecture, codename)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    (tmp_path / INSTALL).write_text(script)
    files = {INSTALL: tmp_path / INSTALL}
    manifest = replace(manifest_of(files), files={INSTALL: "0" * 64})
    _write(tmp_path / "b", manifest, files)
    for text, said in (
        (script, "damaged"),
        (script.replace(f"= {codename} ]", "= sarge ]"), "is for Debian"),
    ):
        done = subprocess.run(
            ["sh", "-s", str(tmp_path / "b")],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert said in done.stderr or "needs root" in done.stderr
    assert not Path("/opt/kubeinstall/0123456789abcdef").exists()
