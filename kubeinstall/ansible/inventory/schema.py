"""The variables that an inventory may set, as JSON Schema. One table: validation, documentation and roles follow it."""

from __future__ import annotations

from typing import Any

API_PORT = 6443
BALANCER_PORT = 6445

_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_TAINT = {
    "type": "object",
    "required": ["key", "effect"],
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string", "minLength": 1},
        "value": {"type": "string"},
        "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    },
}
_DOCUMENT = {"type": "object"}

#: Variable → its schema; `description` is for people.
VARIABLES: dict[str, dict[str, Any]] = {
    "kubeinstall_cluster": {
        **_DOCUMENT,
        "description": "ClusterConfiguration (v1beta4), without apiVersion and kind.",
    },
    "kubeinstall_kubelet": {**_DOCUMENT, "description": "KubeletConfiguration, likewise."},
    "kubeinstall_proxy": {**_DOCUMENT, "description": "KubeProxyConfiguration, likewise."},
    "kubeinstall_api_port": {**_PORT, "description": f"Port of API servers ({API_PORT})."},
    "kubeinstall_balancer_port": {
        **_PORT,
        "description": f"Port of each host's own load balancer on 127.0.0.1 ({BALANCER_PORT}).",
    },
    "kubeinstall_etcd_upkeep": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "every": {"type": "string", "minLength": 1},
            "keep": {"type": "integer", "minimum": 1},
            "directory": {"type": "string", "pattern": "^/[^\\s]+$"},
        },
        "description": "Snapshots of etcd on each member's host: every (24h; 0 for none), keep (7), directory.",
    },
    "kubeinstall_images": {
        "type": "array",
        "items": {"enum": ["pause", "busybox", "nginx"]},
        "uniqueItems": True,
        "description": "Images made on every host; pause is always among them.",
    },
    "node_ip": {
        "type": "string",
        "description": "The address that other hosts reach this one by (ansible_host).",
    },
    "node_labels": {**_LABELS, "description": "Labels of the Node when it registers."},
    "node_taints": {
        "type": "array",
        "items": _TAINT,
        "description": "Taints of the Node when it registers.",
    },
}
#: Must be the same on every host.
SHARED = tuple(name for name in VARIABLES if name.startswith("kubeinstall_"))
PREFIXES = ("kubeinstall_", "node_")
#: Set by the play itself.
INTERNAL = frozenset(
    {"kubeinstall_config", "kubeinstall_plan", "kubeinstall_reset", "kubeinstall_archive"}
)
#: Of roles: `node` and `preflight` have variables with these prefixes.
ROLE_VARIABLES = frozenset({"node_config", "node_components"})
