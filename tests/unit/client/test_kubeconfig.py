"""Kubeconfig files: contexts, inline data, relative files, errors that name the file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from kubeinstall.client import ApiClient, kubeconfig, resources
from kubeinstall.errors import SettingsError


def write(tmp_path: Path, user: Mapping[str, object]) -> Path:
    file = tmp_path / "kube.conf"
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "ns"}},
            {"name": "two", "context": {"cluster": "missing"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://h:6443/"}}],
        "users": [{"name": "u", "user": dict(user)}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def test_inline_data_wins_and_files_are_relative(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"from file")
    inline = base64.b64encode(b"inline").decode()
    user = {"client-certificate-data": inline, "client-certificate": "x", "client-key": "key"}
    config = kubeconfig.load(write(tmp_path, user))
    assert (config.server, config.namespace) == ("https://h:6443", "ns")
    assert (config.cert_pem, config.key_pem) == (b"inline", b"from file")


def test_errors_name_file_and_member(tmp_path: Path) -> None:
    file = write(tmp_path, {"exec": {"command": "x"}})
    with pytest.raises(SettingsError, match="exec"):
        kubeconfig.load(file)
    with pytest.raises(SettingsError, match="no cluster is named 'missing'"):
        kubeconfig.load(file, "two")
    with pytest.raises(SettingsError, match="cannot read kubeconfig"):
        kubeconfig.load(tmp_path / "none")


def test_paths() -> None:
    assert resources.path("v1/pods", "d", "p", "log") == "/api/v1/namespaces/d/pods/p/log"
    assert resources.path("apps/v1/deployments") == "/apis/apps/v1/deployments"
    assert resources.path("v1/nodes", None, "a b") == "/api/v1/nodes/a%20b"
    with pytest.raises(ValueError, match="not a resource name"):
        resources.parse("pods")


def test_a_certificate_in_a_file_is_followed(tmp_path: Path) -> None:
    # The kubelet rotates the pair; proxy and DNS of a worker read the same file.
    cert = tmp_path / "current.pem"
    cert.write_text("first")
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "users": [
            {"name": "u", "user": {"client-certificate": str(cert), "client-key": str(cert)}}
        ],
    }
    path = tmp_path / "kubelet.conf"
    path.write_text(yaml.safe_dump(document))
    client = ApiClient.from_kubeconfig(path)
    transport = client.transport
    transport._arguments({})
    assert transport._config.cert_pem == b"first"
    new = tmp_path / "new.pem"
    new.write_text("second")
    new.replace(cert)
    transport._arguments({})
    assert transport._config.cert_pem == b"first"  # it is looked at now and then only
    transport._cert_looked -= 61
    transport._arguments({})
    assert transport._config.cert_pem == b"second"
