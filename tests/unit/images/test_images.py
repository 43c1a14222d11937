"""Images: names, reproducible layers, readable archives."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from kubeinstall.images.archive import ImageConfig, config_document, write_archive
from kubeinstall.images.build import full_name
from kubeinstall.images.errors import ImageError
from kubeinstall.images.layer import write_layer


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.2", "docker.io/library/nginx:1.2"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app:v1", "localhost/app:v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
    ],
)
def test_full_names(name: str, wanted: str) -> None:
    assert full_name(name) == wanted


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "-x", "a::b"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ImageError):
        full_name(name)


def tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "bin/link").symlink_to("tool")
    (root / "etc").mkdir()
    return root


def test_layers_depend_on_content_alone(tmp_path: Path) -> None:
    first = write_layer(tree(tmp_path / "a"), tmp_path / "a.tar")
    second = write_layer(tree(tmp_path / "b"), tmp_path / "b.tar")
    assert first == second
    (tmp_path / "b/etc/more").touch()
    assert write_layer(tmp_path / "b", tmp_path / "b.tar") != first


def test_an_archive_is_an_oci_layout_and_a_docker_archive(tmp_path: Path) -> None:
    layer = write_layer(tree(tmp_path / "a"), tmp_path / "layer.tar")
    config = config_document(ImageConfig(cmd=["sh"], user="1000"), "amd64", layer)
    digest = write_archive(
        "docker.io/library/x:v1", config, tmp_path / "layer.tar", layer, tmp_path / "x.tar"
    )
    with tarfile.open(tmp_path / "x.tar") as archive:
        members = {m.name: archive.extractfile(m) for m in archive.getmembers()}
        blobs = {name: file.read() for name, file in members.items() if file is not None}
    index = json.loads(blobs["index.json"])
    assert index["manifests"][0]["digest"] == digest
    manifest = json.loads(blobs[f"blobs/sha256/{digest.partition(':')[2]}"])
    for part in (manifest["config"], *manifest["layers"]):
        data = blobs[f"blobs/sha256/{part['digest'].partition(':')[2]}"]
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == part["digest"]
        assert len(data) == part["size"]
    docker = json.loads(blobs["manifest.json"])[0]
    assert docker["RepoTags"] == ["docker.io/library/x:v1"]
    assert json.loads(blobs[docker["Config"]])["config"]["Cmd"] == ["sh"]
    assert json.loads(blobs[docker["Config"]])["config"]["User"] == "1000"
