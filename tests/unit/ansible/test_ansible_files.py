"""Files on the host: containerd's configuration, sysctls, units, component settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.ansible import containerd, kernel, packages
from kubeinstall.ansible.cluster_objects import PHASES, cluster_objects
from kubeinstall.ansible.component_services import component_services
from kubeinstall.ansible.components import (
    component_settings,
    dns_address,
    flag_name,
    kubelet_configuration,
)
from kubeinstall.ansible.objects import difference
from kubeinstall.ansible.services import Service, unit_text
from kubeinstall.ansible.toml import dump_toml
from kubeinstall.config import load_init
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.checks import as_variables, check_settings

WANTED = containerd.Wanted("registry.k8s.io/pause:3.10")
CRI = "io.containerd.grpc.v1.cri"


def root_of(
    tmp_path: Path, *, capabilities: str = "000001ffffffffff", systemd: bool = False
) -> Path:
    root = tmp_path / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(f"CapEff:\t{capabilities}\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
        (root / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    return root


def ensure(path: Path, root: Path, *, check: bool = False) -> list[str]:
    return containerd.ensure_config(WANTED, check=check, path=path, root=root).changes


def test_new_configuration_and_nothing_the_second_time(tmp_path: Path) -> None:
    path, root = tmp_path / "config.toml", root_of(tmp_path)
    assert ensure(path, root, check=True) == [f"write {path}"]
    assert not path.exists()
    assert ensure(path, root) == [f"write {path}"]
    cri = tomllib.loads(path.read_text())["plugins"][CRI]
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    assert "restrict_oom_score_adj" not in cri
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}
    assert ensure(path, root) == []


def test_without_the_capability_oom_scores_are_restricted(tmp_path: Path) -> None:
    root = root_of(tmp_path, capabilities="000001fffeffffff")
    cri = containerd.required(WANTED, root)["plugins"][CRI]
    assert cri["restrict_oom_score_adj"] is True


def test_systemd_with_cgroup_v2_uses_systemds_cgroups(tmp_path: Path) -> None:
    cri = containerd.required(WANTED, root_of(tmp_path, systemd=True))["plugins"][CRI]
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}


EXISTING = """# mine
version = 2
disabled_plugins = ["cri", "other"]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
endpoint = ["https://mirror.example"]
[debug]
level = "debug"
"""


def test_existing_settings_are_kept_and_the_file_comes_back(tmp_path: Path) -> None:
    path, root = tmp_path / "config.toml", root_of(tmp_path)
    path.write_text(EXISTING)
    ensure(path, root)
    merged = tomllib.loads(path.read_text())
    assert merged["disabled_plugins"] == ["other"]
    assert merged["debug"] == {"level": "debug"}
    mirrors = merged["plugins"][CRI]["registry"]["mirrors"]
    assert mirrors == {"docker.io": {"endpoint": ["https://mirror.example"]}}
    assert ensure(path, root) == []
    containerd.restore_config(path, check=False)
    assert path.read_text() == EXISTING
    assert containerd.restore_config(path, check=False).changes == []


def test_our_own_file_goes_with_reset(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    ensure(path, root_of(tmp_path))
    containerd.restore_config(path, check=False)
    assert not path.exists()


@pytest.mark.parametrize("text", ["not toml [", "[plugins]\n"])
def test_file_that_cannot_be_merged_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(KubeinstallError, match=r"config\.toml"):
        ensure(path, root_of(tmp_path))
    assert path.read_text() == text


def test_toml_round_trips() -> None:
    document = {
        "version": 2,
        "list": ["a", 'quo"te', "ünï"],
        "inline": [{"a b": 1}],
        "on": True,
        "share": 1.5,
        "table": {"nested.key": {"x": "y", "deeper": {}}, "plain": 1},
    }
    assert tomllib.loads(dump_toml(document)) == document


def kernel_root(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text("nodev\toverlay\n")
    for key, value in {
        "net.ipv4.ip_forward": "0",
        "net.ipv4.conf.all.forwarding": "0",
        "fs.inotify.max_user_instances": "128",
        "fs.inotify.max_user_watches": "9999999",
    }.items():
        path = kernel.sysctl_path(tmp_path, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return tmp_path


def test_sysctls_are_set_once_and_put_back(tmp_path: Path) -> None:
    root = kernel_root(tmp_path)
    forward = kernel.sysctl_path(root, "net.ipv4.ip_forward")
    watches = kernel.sysctl_path(root, "fs.inotify.max_user_watches")
    planned = kernel.ensure_kernel(check=True, root=root).changes
    assert forward.read_text() == "0\n"
    assert kernel.ensure_kernel(check=False, root=root).changes == planned
    assert "sysctl net.ipv4.ip_forward: 0 → 1" in planned
    assert (forward.read_text(), watches.read_text()) == ("1\n", "9999999\n")
    assert kernel.ensure_kernel(check=False, root=root).changes == []
    assert kernel.restore_kernel(check=False, root=root).changed
    assert forward.read_text() == "0\n"
    assert not (root / kernel.SYSCTL_FILE).exists()
    assert kernel.restore_kernel(check=False, root=root).changes == []


def test_sysctl_that_the_kernel_lacks(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text("nodev\toverlay\n")
    with pytest.raises(KubeinstallError, match=r"net\.ipv4\.ip_forward: this kernel"):
        kernel.ensure_kernel(check=True, root=tmp_path)


def test_installed_packages_are_read_from_dpkgs_status(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: runc\nStatus: install ok installed\n\n"
        "Package: nftables\nStatus: deinstall ok config-files\n\n"
        "Package: other\nStatus: install ok installed\n"
    )
    assert packages.installed(["runc", "nftables", "absent"], status) == {"runc"}


CLUSTER = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  extraArgs:
  - {name: event-ttl, value: 2h}
  - {name: service-account-issuer, value: https://one.example}
  - {name: service-account-issuer, value: https://two.example}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 50
authentication:
  anonymous: {enabled: true}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
healthzBindAddress: 127.0.0.1:10999
"""


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "c.yaml"
    path.write_text(CLUSTER)
    loaded = load_init(path, node_name="node-a", address="192.0.2.1")
    check_settings(loaded)
    return as_variables(loaded)


def test_settings_of_every_component_are_accepted_by_it(config: dict[str, Any]) -> None:
    settings = component_settings(config)  # the fixture has read each as the component will
    assert settings["kube-apiserver"]["event-ttl"] == "2h"
    assert "shutdown-delay-duration" not in settings["kube-apiserver"]  # nobody else to go to
    issuers = settings["kube-apiserver"]["service-account-issuer"]
    assert issuers == "https://one.example,https://two.example"
    assert settings["kube-proxy"]["healthz-bind-address"] == "127.0.0.1:10999"
    assert settings["kubelet"]["register-with-taints"] == (
        "node-role.kubernetes.io/control-plane=:NoSchedule"
    )
    assert settings["kube-dns"]["cluster-dns"] == dns_address(config["cluster"]) == "10.96.0.10"


def test_kubelet_document_is_laid_over_ours(config: dict[str, Any]) -> None:
    document = kubelet_configuration(config, systemd_cgroup=True)
    assert document["maxPods"] == 50
    assert document["cgroupDriver"] == "systemd"
    assert document["authentication"]["anonymous"] == {"enabled": True}
    assert document["authentication"]["webhook"] == {"enabled": True}


def test_unknown_extra_argument_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CLUSTER.replace("event-ttl", "event-tl"))
    loaded = load_init(path, node_name="node-a", address="192.0.2.1")
    with pytest.raises(KubeinstallError, match="unknown flag 'event-tl'; did you mean 'event-ttl'"):
        check_settings(loaded)


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("clusterDNS", "cluster-dns"),
        ("maxPods", "max-pods"),
        ("clusterCIDR", "cluster-cidr"),
        ("imageGCHighThresholdPercent", "image-gc-high-threshold-percent"),
    ],
)
def test_fields_as_flags(field: str, flag: str) -> None:
    assert flag_name(field) == flag


def test_components_share_processes_only_without_systemd(config: dict[str, Any]) -> None:
    settings = component_settings(config)
    grouped = component_services(settings, list(settings), systemd=False)
    assert [s.name for s in grouped] == ["kube-apiserver", "kube-control", "kube-node"]
    units = component_services(settings, list(settings), systemd=True)
    assert [s.name for s in units] == list(settings)
    only = component_services(settings, ["kubelet"], systemd=True)
    assert "kubelet" in [s.name for s in only]
    assert "kube-apiserver" not in [s.name for s in only]


def test_digest_changes_with_a_setting_and_with_a_file_it_names(
    config: dict[str, Any], tmp_path: Path
) -> None:
    settings = component_settings(config)
    key = tmp_path / "key"
    key.write_text("one")
    settings["kube-apiserver"]["tls-private-key-file"] = str(key)

    def digests() -> dict[str, str]:
        found = component_services(settings, list(settings), systemd=True)
        return {service.name: service.digest for service in found}

    first = digests()
    key.write_text("two")
    second = digests()
    assert {name for name in first if first[name] != second[name]} == {"kube-apiserver"}
    settings["kubelet"]["node-ip"] = "192.0.2.9"
    third = digests()
    assert {name for name in first if second[name] != third[name]} == {"kubelet"}


def test_unit_file() -> None:
    service = Service(
        "kubelet", ("/opt/x y/python", "-m", "k"), digest="abc", after=("containerd",),
        keep_children=True,
    )  # fmt: skip
    text = unit_text(service)
    assert 'ExecStart="/opt/x y/python" -m k\n' in text
    assert "Type=notify\n" in text
    assert "After=network-online.target containerd.service\n" in text
    assert "KillMode=process\n" in text
    assert "Environment=KUBEINSTALL_DIGEST=abc\n" in text
    assert "Restart=always\n" in text


def test_cluster_objects_by_phase(config: dict[str, Any]) -> None:
    titles = {(o["kind"], o["metadata"]["name"]) for o in cluster_objects(config)}
    assert ("Service", "kube-dns") in titles
    assert ("ConfigMap", "kubeadm-config") in titles
    assert ("ClusterRoleBinding", "kubeadm:cluster-admins") in titles
    some = {o["metadata"]["name"] for o in cluster_objects(config, ["upload-config"])}
    assert "kubeadm-config" in some
    assert "kube-dns" not in some
    assert set(PHASES) == {"upload-config", "bootstrap-token", "addon"}
    stored = next(o for o in cluster_objects(config) if o["metadata"]["name"] == "kubeadm-config")
    cluster = yaml.safe_load(stored["data"]["ClusterConfiguration"])
    assert cluster["kind"] == "ClusterConfiguration"


def test_difference_ignores_what_the_server_added() -> None:
    wanted = {"kind": "Service", "spec": {"ports": [{"port": 53}]}, "metadata": {"name": "x"}}
    current = {
        "metadata": {"name": "x", "uid": "1"},
        "spec": {"ports": [{"port": 53, "protocol": "TCP"}], "type": "ClusterIP"},
    }
    assert difference(wanted, current) == {}
    assert difference({**wanted, "spec": {"type": "NodePort"}}, current) == {
        "spec": {"type": "NodePort"}
    }
    two = [{"port": 53}, {"port": 54}]
    assert difference({"spec": {"ports": two}}, current) == {"spec": {"ports": two}}
