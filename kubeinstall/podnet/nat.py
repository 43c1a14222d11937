"""Masquerading of what pods send outside the cluster: the table's fixed part."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

TABLE = "kube-podnet"
_MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}


def family_of(network: str) -> str:
    """nftables' word for the family of an address or network."""
    return "ip" if ipaddress.ip_network(network, strict=False).version == 4 else "ip6"


def render_nat(family: str, pod_cidrs: Sequence[str], cluster_cidrs: Sequence[str]) -> str:
    """The chain that masquerades traffic of this node's pods to anything but pods."""
    own = [cidr for cidr in pod_cidrs if family_of(cidr) == family]
    inside = [cidr for cidr in cluster_cidrs if family_of(cidr) == family] or own
    version = 4 if family == "ip" else 6
    keep = ", ".join([*inside, _MULTICAST[version]])
    rules = [
        f"{family} saddr {cidr} {family} daddr != {{ {keep} }} masquerade fully-random"
        for cidr in own
    ]
    body = "\n".join(["type nat hook postrouting priority 110;", *rules])
    return f"chain outbound {{\n{body}\n}}"
