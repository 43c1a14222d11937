"""Settings of the cluster DNS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DnsSettings(Settings):
    """What kube-dns can be told."""

    kubeconfig: Path = setting(
        Path("/etc/kubernetes/kube-dns.conf"),
        flag="kubeconfig",
        help="Credentials for the API server.",
    )
    cluster_domain: str = setting(
        "cluster.local", flag="cluster-domain", help="The zone that is ours."
    )
    addresses: tuple[str, ...] = setting(
        ("10.96.0.10",),
        flag="cluster-dns",
        help="The DNS service's addresses; they are put on the loopback interface.",
    )
    port: int = setting(53, flag="port", help="UDP and TCP port.")
    interface: str = setting(
        "lo",
        flag="interface",
        help="Interface that gets the addresses; empty: they are there already.",
    )
    resolv_conf: Path = setting(
        Path("/etc/resolv.conf"),
        flag="resolv-conf",
        help="Where the resolvers for names outside the cluster are read from.",
    )
    ttl: int = setting(30, flag="ttl", unit="s", help="Time to live of the zone's records.")
    cache_size: int = setting(
        2000, flag="cache-size", help="Answers of other servers that are remembered."
    )
    metrics_bind_address: str = setting(
        "127.0.0.1:9153",
        flag="metrics-bind-address",
        help="Address and port of health and metrics.",
    )

    def validate(self) -> None:
        """Addresses, port and zone must be usable."""
        for value in self.addresses:
            try:
                ipaddress.ip_address(value)
            except ValueError as error:
                raise SettingsError(f"cluster-dns: {error}") from error
        if not self.addresses:
            raise SettingsError("cluster-dns: at least one address is needed")
        if not 0 <= self.port <= 65535:
            raise SettingsError("port: must be between 0 and 65535")
        if not 0 <= self.ttl <= 3600:
            raise SettingsError("ttl: must be between 0 and 3600")
        if not self.cluster_domain.strip("."):
            raise SettingsError("cluster-domain: must not be empty")
        host, _, port = self.metrics_bind_address.rpartition(":")
        if not host or not port.lstrip("-").isdigit():
            raise SettingsError("metrics-bind-address: must be address:port")
