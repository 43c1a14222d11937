"""What resources do around their writes beyond strategy and validation."""

from __future__ import annotations

from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.hooks.cluster_ips import ClusterIPs
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.hooks.port_claims import PortClaims
from kubeinstall.apiserver.hooks.services import ServiceHooks
from kubeinstall.apiserver.interfaces import Hooks
from kubeinstall.apiserver.registry import Registry
from kubeinstall.storage.store import Store


def build(
    settings: ApiServerSettings, registry: Registry, store: Store
) -> dict[tuple[str, str], Hooks]:
    """Hooks by (group, plural)."""
    ips = ClusterIPs(registry, settings.service_cluster_ip_range)
    ports = NodePorts(registry, settings.node_ports, PortClaims(store))
    return {("", "services"): ServiceHooks(registry, ips, ports)}


__all__ = ["ServiceHooks", "build"]
