"""Settings of kube-proxy, by upstream's flag names."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ProxySettings(Settings):
    """What kube-proxy can be told."""

    kubeconfig: Path = setting(
        Path("/etc/kubernetes/kube-proxy.conf"),
        flag="kubeconfig",
        help="Credentials for the API server.",
    )
    node_name: str = setting(
        "",
        flag="hostname-override",
        help="Name of this node; empty is the host's name in lower case.",
    )
    cluster_cidr: tuple[str, ...] = setting(
        (),
        flag="cluster-cidr",
        help="Networks of the pods, one a family; traffic to services from elsewhere is masqueraded.",
    )
    mode: str = setting(
        "", flag="mode", help="Must be nftables, the only mode there is; empty is the same."
    )
    detect_local_mode: str = setting(
        "ClusterCIDR",
        flag="detect-local-mode",
        help="How traffic of pods is told from others'; only ClusterCIDR.",
    )
    bind_address: str = setting(
        "",
        flag="bind-address",
        help="Accepted for old configurations: nftables binds no addresses for services.",
    )
    masquerade_all: bool = setting(
        False, flag="masquerade-all", help="Masquerade all traffic to cluster IPs."
    )
    ipv6: bool = setting(
        True, flag="ipv6", help="Also keep the table for IPv6 services, where the kernel has IPv6."
    )
    node_port_addresses: tuple[str, ...] = setting(
        (),
        flag="nodeport-addresses",
        help="Networks of the local addresses that serve node ports; empty is all but loopback.",
    )
    min_sync_period: float = setting(
        0.01,
        flag="nftables-min-sync-period",
        unit="s",
        help="Changes arriving within this time are applied together.",
    )
    sync_period: float = setting(
        30.0,
        flag="nftables-sync-period",
        unit="s",
        help="How often to look whether the tables are still there.",
    )
    healthz_bind_address: str = setting(
        "0.0.0.0:10256",
        flag="healthz-bind-address",
        help="Address and port of /healthz; a port of -1 serves none.",
    )
    metrics_bind_address: str = setting(
        "127.0.0.1:10249",
        flag="metrics-bind-address",
        help="Address and port of /metrics; a port of -1 serves none.",
    )

    def validate(self) -> None:
        """Networks and addresses must be readable."""
        if self.mode not in ("", "nftables"):
            raise SettingsError(f"mode: {self.mode!r} is not available, only nftables")
        if self.detect_local_mode not in ("", "ClusterCIDR"):
            raise SettingsError("detect-local-mode: only ClusterCIDR is available")
        for flag, values in (
            ("cluster-cidr", self.cluster_cidr),
            ("nodeport-addresses", self.node_port_addresses),
        ):
            for value in values:
                try:
                    ipaddress.ip_network(value)
                except ValueError as error:
                    raise SettingsError(f"{flag}: {error}") from error
        for flag, value in (
            ("healthz-bind-address", self.healthz_bind_address),
            ("metrics-bind-address", self.metrics_bind_address),
        ):
            try:
                split_address(value)
            except ValueError as error:
                raise SettingsError(f"{flag}: {value!r} is not address:port") from error

    @property
    def node(self) -> str:
        """The node's name."""
        return self.node_name or socket.gethostname().lower()


def split_address(text: str) -> tuple[str, int]:
    """`("127.0.0.1", 80)` of `127.0.0.1:80`; ValueError when it is not that."""
    host, _, port = text.rpartition(":")
    if not host:
        raise ValueError(text)
    return host.strip("[]"), int(port)
