"""Upgrading the host itself: what is refused before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.cli.app import app
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision import upgrade_here
from kubeinstall.provision.upgrade_here import ClusterState, check_version, upgraded_config


def state(version: str, *, several: bool = False) -> ClusterState:
    configuration = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": version,
        "clusterName": "lab",
        "networking": {"podSubnet": "10.50.0.0/16"},
    }
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "maxPods": 50,
    }
    return ClusterState(version, {"a": version}, configuration, kubelet, several)


def test_only_the_version_that_is_installed_and_follows() -> None:
    check_version(state(KUBERNETES_VERSION), KUBERNETES_VERSION, force=False)
    check_version(state("v1.35.4"), KUBERNETES_VERSION, force=False)
    with pytest.raises(KubeinstallError, match="none may be skipped"):
        check_version(state("v1.34.0"), KUBERNETES_VERSION, force=False)
    check_version(state("v1.34.0"), KUBERNETES_VERSION, force=True)
    with pytest.raises(KubeinstallError, match="install the release"):
        check_version(state("v1.35.0"), "v1.99.0", force=True)


def test_the_cluster_keeps_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        upgrade_here, "installed_overrides", lambda: ({"nodeRegistration": {"name": "a"}}, {})
    )
    config = upgraded_config(state("v1.35.0"))
    assert config.cluster["kubernetesVersion"] == KUBERNETES_VERSION
    assert config.cluster["clusterName"] == "lab"
    assert config.cluster["networking"]["podSubnet"] == "10.50.0.0/16"
    assert config.kubelet["maxPods"] == 50
    assert config.node_name == "a"


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["upgrade", "apply", "v1.99.0", "-i", str(tmp_path)])
    assert isinstance(result.exception, KubeinstallError)
    assert "v1.99.0" in str(result.exception)


def test_a_host_without_a_cluster_is_told_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["upgrade", "plan", "--kubeconfig", str(tmp_path / "admin.conf")]
    )
    assert isinstance(result.exception, KubeinstallError)
    assert "no such file" in str(result.exception)
