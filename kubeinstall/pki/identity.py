"""What the certificates of one host depend on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from kubeinstall.pki.keys import DEFAULT_ALGORITHM, KeyAlgorithm

CA_VALIDITY = timedelta(days=3650)
CERTIFICATE_VALIDITY = timedelta(days=365)


@dataclass(frozen=True)
class ClusterIdentity:
    """Names and addresses that go into certificates and kubeconfigs.

    `control_plane_endpoint` is `host` or `host:port` as in ClusterConfiguration, empty for none.
    `service_cidr` may name two ranges, comma separated (dual stack).
    """

    node_name: str
    advertise_address: str
    bind_port: int = 6443
    control_plane_endpoint: str = ""
    service_cidr: str = "10.96.0.0/12"
    dns_domain: str = "cluster.local"
    cluster_name: str = "kubernetes"
    cert_sans: tuple[str, ...] = ()
    etcd_server_sans: tuple[str, ...] = ()
    etcd_peer_sans: tuple[str, ...] = ()
    external_etcd: bool = False
    #: URL of the host's own load balancer, which its node components use; empty on a host alone.
    balancer: str = ""
    algorithm: KeyAlgorithm = DEFAULT_ALGORITHM
    ca_validity: timedelta = CA_VALIDITY
    certificate_validity: timedelta = CERTIFICATE_VALIDITY

    @property
    def service_addresses(self) -> list[str]:
        """The `kubernetes` Service's address in each service range: the first usable one."""
        ranges = [part.strip() for part in self.service_cidr.split(",") if part.strip()]
        return [str(ipaddress.ip_network(cidr, strict=False)[1]) for cidr in ranges]

    @property
    def endpoint_host(self) -> str:
        """The host part of the control-plane endpoint, empty when there is none."""
        return split_host_port(self.control_plane_endpoint, self.bind_port)[0]

    @property
    def local_server(self) -> str:
        """URL of this host's own API server."""
        return f"https://{join_host_port(self.advertise_address, self.bind_port)}"

    @property
    def server(self) -> str:
        """URL of the cluster: the control-plane endpoint if there is one."""
        if not self.control_plane_endpoint:
            return self.local_server
        host, port = split_host_port(self.control_plane_endpoint, self.bind_port)
        return f"https://{join_host_port(host, port)}"


def split_host_port(endpoint: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address → (host, port)."""
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        port = rest.removeprefix(":")
    elif endpoint.count(":") == 1:
        host, _, port = endpoint.partition(":")
    else:
        host, port = endpoint, ""
    return host, int(port) if port else default_port


def join_host_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
