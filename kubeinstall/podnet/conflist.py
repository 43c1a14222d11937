"""The CNI configuration: what containerd reads to give pods a network."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NETWORK = "kubeinstall"
FILE_NAME = "10-kubeinstall.conflist"


def render_conflist(pod_cidrs: Sequence[str], bridge: str = "cni0", mtu: int = 0) -> str:
    """The conflist for a node with these pod CIDRs (one a family), as text.

    A bridge that is the pods' gateway, addresses from host-local, and portmap for host ports. hairpinMode
    lets a pod reach itself through its Service. Masquerading is podnet's, not the plugin's: nftables does
    it once for all pods. Pure, so that the provisioner can write it before anything runs.
    """
    networks = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
    default = {4: "0.0.0.0/0", 6: "::/0"}
    plugin: dict[str, Any] = {
        "type": "bridge",
        "bridge": bridge,
        "isGateway": True,
        "forceAddress": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(network)}] for network in networks],
            "routes": [{"dst": default[network.version]} for network in networks],
        },
    }
    if mtu:
        plugin["mtu"] = mtu
    document = {
        "cniVersion": "0.4.0",
        "name": NETWORK,
        "plugins": [plugin, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }
    return json.dumps(document, indent=2) + "\n"


def write_conflist(directory: Path, text: str) -> bool:
    """Write the file atomically; False when it was there already just so."""
    path = directory / FILE_NAME
    try:
        if path.read_text("utf-8") == text:
            return False
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    # Not *.conflist, so that containerd never loads a half-written file.
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    fresh.replace(path)
    return True
