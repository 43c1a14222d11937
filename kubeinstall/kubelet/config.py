"""Settings of the kubelet: upstream's flags, and its KubeletConfiguration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.api.types import Object
from kubeinstall.errors import SettingsError
from kubeinstall.runtime import Settings, setting
from kubeinstall.runtime.settings import seconds

API_VERSION = "kubelet.config.k8s.io/v1beta1"
_MAX_PODS = 110


@dataclass(frozen=True, kw_only=True)
class KubeletSettings(Settings):
    """Upstream's command line."""

    kubeconfig: Path = setting(flag="kubeconfig", help="Credentials for the API server.")
    bootstrap_kubeconfig: Path | None = setting(
        None, flag="bootstrap-kubeconfig", help="Credentials used where kubeconfig does not exist."
    )
    config: Path | None = setting(None, flag="config", help="A KubeletConfiguration file.")
    hostname_override: str = setting(
        "", flag="hostname-override", help="The node's name; the host's by default."
    )
    node_ip: str = setting(
        "", flag="node-ip", help="The node's address, or two for dual stack, comma separated."
    )
    node_labels: dict[str, str] = setting(
        factory=dict, flag="node-labels", help="Labels of a new Node object."
    )
    register_with_taints: list[str] = setting(
        factory=list, flag="register-with-taints", help="key=value:effect of a new Node object."
    )
    register_node: bool = setting(True, flag="register-node", help="Make the Node object.")
    container_runtime_endpoint: str = setting(
        "unix:///run/containerd/containerd.sock",
        flag="container-runtime-endpoint",
        help="The CRI socket.",
    )
    root_dir: Path = setting(Path("/var/lib/kubelet"), flag="root-dir", help="State on disk.")
    cert_dir: Path = setting(
        Path("/var/lib/kubelet/pki"), flag="cert-dir", help="The serving certificate's folder."
    )
    pod_manifest_path: Path | None = setting(
        None, flag="pod-manifest-path", help="Static pods; staticPodPath of the file otherwise."
    )
    cgroup_root: str = setting("", flag="cgroup-root", help="The cgroup above kubepods.")
    pod_infra_container_image: str = setting(
        "", flag="pod-infra-container-image", help="Kept from garbage collection."
    )
    provider_id: str = setting("", flag="provider-id", help="spec.providerID of the Node.")


@dataclass(frozen=True, slots=True)
class KubeletConfiguration:
    """The fields of KubeletConfiguration that this kubelet acts on; times in seconds, defaults upstream's."""

    static_pod_path: str = ""
    file_check_frequency: float = 20.0
    address: str = "0.0.0.0"  # noqa: S104 - upstream's default: the API server must reach it
    port: int = 10250
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    authentication: Object = field(default_factory=dict)
    authorization: Object = field(default_factory=dict)
    healthz_port: int = 10248
    healthz_bind_address: str = "127.0.0.1"
    cluster_domain: str = ""
    cluster_dns: list[str] = field(default_factory=list)
    streaming_connection_idle_timeout: float = 4 * 3600.0
    node_status_update_frequency: float = 10.0
    node_status_report_frequency: float = 300.0
    node_lease_duration_seconds: int = 40
    image_minimum_gc_age: float = 120.0
    image_gc_high_threshold_percent: int = 85
    image_gc_low_threshold_percent: int = 80
    cgroup_root: str = ""
    cgroups_per_qos: bool = field(default=True, metadata={"name": "cgroupsPerQOS"})
    cgroup_driver: str = "cgroupfs"
    runtime_request_timeout: float = 120.0
    max_pods: int = _MAX_PODS
    pod_cidr: str = field(default="", metadata={"name": "podCIDR"})
    pod_pids_limit: int = -1
    resolv_conf: str = "/etc/resolv.conf"
    cpu_cfs_quota: bool = field(default=True, metadata={"name": "cpuCFSQuota"})
    eviction_hard: dict[str, str] = field(
        default_factory=lambda: {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
            "imagefs.inodesFree": "5%",
        }
    )
    eviction_pressure_transition_period: float = 300.0
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    system_reserved: dict[str, str] = field(default_factory=dict)
    kube_reserved: dict[str, str] = field(default_factory=dict)
    register_with_taints: list[Object] = field(default_factory=list)
    register_node: bool = True
    rotate_certificates: bool = False
    server_tls_bootstrap: bool = field(default=False, metadata={"name": "serverTLSBootstrap"})
    seccomp_default: bool = False
    fail_swap_on: bool = True
    container_runtime_endpoint: str = ""
    pod_logs_dir: str = "/var/log/pods"
    enable_debugging_handlers: bool = True
    allowed_unsafe_sysctls: list[str] = field(default_factory=list)
    max_parallel_image_pulls: int | None = None


def load_configuration(path: Path | None) -> KubeletConfiguration:
    """Read a KubeletConfiguration; fields this kubelet does not act on are accepted.

    Raises `SettingsError` that names the file and the field.
    """
    if path is None:
        return KubeletConfiguration()
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"config: {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "KubeletConfiguration":
        raise SettingsError(f"config: {path}: kind must be KubeletConfiguration")
    if document.get("apiVersion") != API_VERSION:
        raise SettingsError(f"config: {path}: apiVersion must be {API_VERSION}")
    return from_document(document, f"config: {path}")


def from_document(document: Mapping[str, Any], source: str) -> KubeletConfiguration:
    """The typed form of a document."""
    values: dict[str, Any] = {}
    defaults = KubeletConfiguration()
    for item in fields(KubeletConfiguration):
        name = _json_name(item.name, item.metadata)
        given = document.get(name)
        if given is None:
            continue
        default = getattr(defaults, item.name)
        try:
            values[item.name] = _convert(given, default)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{source}: {name}: {error}") from error
    return KubeletConfiguration(**values)


def document_of(config: KubeletConfiguration) -> Object:
    """The document form, as `/configz` shows it; times as Go durations."""
    made: Object = {"kind": "KubeletConfiguration", "apiVersion": API_VERSION}
    for item in fields(KubeletConfiguration):
        value = getattr(config, item.name)
        if value is not None:
            made[_json_name(item.name, item.metadata)] = (
                f"{value:g}s" if isinstance(value, float) else value
            )
    return made


def _json_name(attribute: str, metadata: Mapping[str, Any]) -> str:
    if "name" in metadata:
        return str(metadata["name"])
    first, *rest = attribute.split("_")
    special = {"dns": "DNS", "gc": "GC", "pids": "Pids", "conf": "Conf"}
    return first + "".join(special.get(word, word.capitalize()) for word in rest)


def _convert(given: Any, default: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(given, bool):
            raise TypeError("must be true or false")
        return given
    if isinstance(default, float):
        value = seconds(str(given))
        return value or default  # zero means the default, as upstream's defaulting has it
    if isinstance(default, int) and not isinstance(given, int):
        raise TypeError("must be a whole number")
    if isinstance(default, dict | list) and not isinstance(given, type(default)):
        raise TypeError(f"must be a {'mapping' if isinstance(default, dict) else 'list'}")
    if isinstance(default, str):
        return str(given)
    return given
