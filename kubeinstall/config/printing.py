"""`config print …-defaults`: complete documents, ready to be edited."""

from __future__ import annotations

from typing import Any

import yaml

from kubeinstall.config.defaults import (
    default_cluster,
    default_init,
    default_join,
    default_reset,
    default_upgrade,
)
from kubeinstall.config.schemas import KUBELET, PROXY

Object = dict[str, Any]

# kubeadm prints these placeholders too: they are to be replaced.
_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - a documented placeholder
_NODE = "node"
_ADDRESS = "1.2.3.4"

COMPONENTS = {
    "KubeletConfiguration": {"apiVersion": KUBELET, "kind": "KubeletConfiguration"},
    "KubeProxyConfiguration": {"apiVersion": PROXY, "kind": "KubeProxyConfiguration"},
}


def init_defaults() -> list[Object]:
    """InitConfiguration and ClusterConfiguration."""
    tokens = [{"token": _TOKEN}]
    init = default_init({"bootstrapTokens": tokens}, node_name=_NODE, address=_ADDRESS)
    return [init, default_cluster({})]


def join_defaults() -> list[Object]:
    """JoinConfiguration."""
    discovery = {
        "bootstrapToken": {
            "token": _TOKEN,
            "apiServerEndpoint": "kube-apiserver:6443",
            "unsafeSkipCAVerification": True,
        }
    }
    return [default_join({"discovery": discovery}, node_name=_NODE, address=_ADDRESS)]


def reset_defaults() -> list[Object]:
    """ResetConfiguration."""
    return [default_reset({})]


def upgrade_defaults() -> list[Object]:
    """UpgradeConfiguration."""
    return [default_upgrade({})]


def to_yaml(documents: list[Object]) -> str:
    """One YAML stream, keys sorted, as kubeadm prints it."""
    return yaml.safe_dump_all(documents, sort_keys=True, default_flow_style=False)
