"""Upgrading the one host that this runs on: kubeadm's `upgrade apply` and `upgrade node`.

The packages were upgraded first (as kubeadm's own package is); what is left is to have the processes run them.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.component_services import component_services
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.remote_upgrade import refusal
from kubeinstall.ansible.services import ensure_services
from kubeinstall.ansible.upgrade import renew_certificates, wait_node_version
from kubeinstall.config import InitConfig, load_init
from kubeinstall.config.effective import merge
from kubeinstall.errors import KubeinstallError, NotFound
from kubeinstall.provision.checks import as_variables
from kubeinstall.provision.installed import installed_overrides

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_SERVER_SECONDS = 30.0
_GATE_SECONDS = 180.0


@dataclass(frozen=True)
class ClusterState:
    """`version` as kubeadm-config has it, `nodes` (name → kubelet's version), and the documents that it holds."""

    version: str
    nodes: dict[str, str]
    configuration: Object
    kubelet: Object
    several: bool


def read_state(kubeconfig: Path) -> ClusterState:
    """Ask the cluster. KubeinstallError when it has no kubeadm-config."""
    found: list[ClusterState] = []

    async def work(client: ApiClient) -> Outcome:
        try:
            config = await client.get("v1/configmaps", "kubeadm-config", "kube-system")
        except NotFound as error:
            raise KubeinstallError(
                "the cluster has no ConfigMap kube-system/kubeadm-config"
            ) from error
        kubelet = await client.get("v1/configmaps", "kubelet-config", "kube-system")
        nodes = (await client.list("v1/nodes"))["items"]
        data = config.get("data") or {}
        cluster = yaml.safe_load(data.get("ClusterConfiguration") or "") or {}
        facts = yaml.safe_load(data.get("kubeinstall") or "") or {}
        found.append(
            ClusterState(
                str(cluster.get("kubernetesVersion") or ""),
                {n["metadata"]["name"]: n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes},
                cluster,
                yaml.safe_load((kubelet.get("data") or {}).get("kubelet") or "") or {},
                bool((facts.get("etcd") or {}).get("members")),
            )
        )
        return Outcome()

    if not kubeconfig.exists():
        raise KubeinstallError(
            f"{kubeconfig}: no such file; name the inventory with -i, or run this on a control plane"
        )
    with_client(kubeconfig, work, _SERVER_SECONDS)
    return found[0]


def check_version(state: ClusterState, target: str, *, force: bool) -> None:
    """KubeinstallError unless the cluster may become `target`, and this installation is that version."""
    if target != KUBERNETES_VERSION:
        raise KubeinstallError(
            f"this kubeinstall is Kubernetes {KUBERNETES_VERSION}, not {target}; install the release for {target} first"
        )
    why = refusal(state.version, target, force=force)
    if why:
        raise KubeinstallError(f"the cluster is not upgraded: {why}")


def upgraded_config(state: ClusterState) -> InitConfig:
    """This host's configuration: what the cluster keeps, with the names and addresses of the host."""
    init, cluster = installed_overrides()
    shared = {k: v for k, v in state.configuration.items() if k != "kubernetesVersion"}
    documents = [merge(shared, cluster)]
    if state.kubelet:
        documents.append(state.kubelet)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("---\n".join(yaml.safe_dump(document) for document in documents))
        file.flush()
        return load_init(
            Path(file.name),
            node_name=hostinfo.host_name(),
            address=hostinfo.default_address(),
            init_overrides=init,
        )


def renew_here(config: InitConfig, *, check: bool) -> Outcome:
    """Issue this control plane's certificates afresh."""
    return renew_certificates(as_variables(config), check=check)


def restart_here(*, check: bool) -> Outcome:
    """Have every component that this host runs be of this installation, with the settings that it has."""
    if not paths.COMPONENTS.exists():
        raise KubeinstallError(
            f"{paths.COMPONENTS}: no such file; this host is not part of a cluster"
        )
    settings: Object = yaml.safe_load(paths.COMPONENTS.read_text()) or {}
    services = component_services(settings, list(settings), systemd=hostinfo.under_systemd())
    return ensure_services(services, check=check)


def wait_here() -> float:
    """Return when this host's node is Ready with this version: the seconds that it took."""
    settings: Object = yaml.safe_load(paths.COMPONENTS.read_text()) or {}
    name = (settings.get("kubelet") or {}).get("hostname-override") or hostinfo.host_name()
    started = time.monotonic()
    wait_node_version(str(name), started + _GATE_SECONDS)
    return time.monotonic() - started
