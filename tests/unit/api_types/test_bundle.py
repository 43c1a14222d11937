"""Generating type data and stubs into another place than the source tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kubeinstall.api import bundle

_PROTO = """syntax = "proto3";
package demo.v1;
service Echo { rpc Say(Word) returns (Word); }
message Word { string text = 1; }
"""
_USE = """
from kubeinstall._wire.demo.v1 import echo_pb2, echo_pb2_grpc
print(echo_pb2.Word.FromString(echo_pb2.Word(text="hi").SerializeToString()).text, echo_pb2_grpc.EchoStub)
"""


def test_types_are_written_once(tmp_path: Path) -> None:
    bundle.write_types(tmp_path)
    written = tmp_path / bundle.TYPES
    document = json.loads(written.read_text())
    assert document["kubernetes"] == bundle.KUBERNETES
    assert document["kinds"]["apps/v1/Deployment"] == "io.k8s.api.apps.v1.Deployment"
    assert "v1/DeleteOptions" not in document["kinds"]
    assert "description" not in json.loads(document["types"]["io.k8s.api.core.v1.Pod"])
    before = written.stat().st_ino
    bundle.write_types(tmp_path)
    assert written.stat().st_ino == before


def test_stubs_import_under_the_package(tmp_path: Path) -> None:
    protos, package = tmp_path / "proto", tmp_path / "kubeinstall"
    (protos / "demo" / "v1").mkdir(parents=True)
    (protos / "demo" / "v1" / "echo.proto").write_text(_PROTO)
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert bundle.write_stubs(protos, package) == ["kubeinstall/_wire/demo/v1/echo.proto"]
    done = subprocess.run(
        [sys.executable, "-c", _USE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("hi ")


def test_a_broken_proto_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto" / "x.proto").write_text("nonsense")
    with pytest.raises(bundle.BundleError, match="protoc could not compile"):
        bundle.write_stubs(tmp_path / "proto", tmp_path / "kubeinstall")


def test_no_proto_files_make_an_empty_package(tmp_path: Path) -> None:
    assert bundle.write_stubs(tmp_path / "proto", tmp_path) == []
    assert (tmp_path / "_wire" / "__init__.py").is_file()
