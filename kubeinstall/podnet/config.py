"""Settings of kube-podnet."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.errors import SettingsError
from kubeinstall.runtime.settings import Settings, setting

ENCAPSULATIONS = ("auto", "never", "always")


@dataclass(frozen=True, kw_only=True)
class PodNetworkSettings(Settings):
    """What kube-podnet can be told."""

    kubeconfig: Path = setting(
        Path("/etc/kubernetes/kube-podnet.conf"),
        flag="kubeconfig",
        help="Credentials for the API server.",
    )
    node_name: str = setting(
        "",
        flag="hostname-override",
        help="Name of this node; empty is the host's name in lower case.",
    )
    cluster_cidr: tuple[str, ...] = setting(
        ("10.244.0.0/16",),
        flag="cluster-cidr",
        help="Networks of all pods, one a family; traffic from pods to elsewhere is masqueraded.",
    )
    cni_conf_dir: Path = setting(
        Path("/etc/cni/net.d"), flag="cni-conf-dir", help="Where the CNI configuration is written."
    )
    bridge: str = setting("cni0", flag="bridge", help="Name of the pods' bridge.")
    mtu: int = setting(
        0,
        flag="mtu",
        unit="bytes",
        help="MTU of the pods' links; 0 is the kernel's choice, and the uplink's less 50 where VXLAN is used.",
    )
    encapsulation: str = setting(
        "auto",
        flag="encapsulation",
        help="VXLAN between nodes: auto (only where they share no link), never, always.",
    )
    vxlan_port: int = setting(8472, flag="vxlan-port", help="UDP port of VXLAN.")
    cluster_dns: tuple[str, ...] = setting(
        ("10.96.0.10",),
        flag="cluster-dns",
        help="Addresses of the cluster DNS; network policies see a pod of kube-system there.",
    )
    network_policy: bool = setting(
        True, flag="network-policy", help="Enforce NetworkPolicy objects."
    )
    health_bind_address: str = setting(
        "127.0.0.1:10246",
        flag="health-bind-address",
        help="Address and port of health and metrics.",
    )

    def validate(self) -> None:
        """Networks and words must be readable."""
        for flag, values in (
            ("cluster-cidr", self.cluster_cidr),
            ("cluster-dns", self.cluster_dns),
        ):
            for value in values:
                try:
                    ipaddress.ip_network(value)
                except ValueError as error:
                    raise SettingsError(f"{flag}: {error}") from error
        if self.encapsulation not in ENCAPSULATIONS:
            raise SettingsError(f"encapsulation: must be one of {', '.join(ENCAPSULATIONS)}")
        host, _, port = self.health_bind_address.rpartition(":")
        if not host or not port.lstrip("-").isdigit():
            raise SettingsError("health-bind-address: must be address:port")
        if len(self.bridge) > 15 or "/" in self.bridge or not self.bridge:
            raise SettingsError("bridge: must be an interface name of at most 15 characters")

    @property
    def node(self) -> str:
        """The node's name."""
        return self.node_name or socket.gethostname().lower()
