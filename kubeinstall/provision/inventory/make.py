"""`kubeinstall inventory init`: an inventory from a few names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from kubeinstall.errors import KubeinstallError

_HEAD = """\
# An inventory of kubeinstall: kubeinstall apply -i DIR
# Groups: kube_control_plane, etcd, kube_node. A control plane that is in kube_node too takes ordinary pods.
# Of a host: ansible_host (where SSH goes), node_ip (where other hosts go, if that differs), node_labels, node_taints.
# Of all: kubeinstall_cluster (kubeadm's ClusterConfiguration), kubeinstall_kubelet, kubeinstall_proxy,
# kubeinstall_api_port, kubeinstall_balancer_port, kubeinstall_etcd_upkeep, kubeinstall_images.
"""


@dataclass(frozen=True)
class Entry:
    """A host as it is named on the command line: `name`, `name=address`, `user@name=address:port`."""

    name: str
    variables: dict[str, Any]


def parse_entry(text: str) -> Entry:
    """Read one; KubeinstallError when it is none. A bare address becomes the host `node-<address>`."""
    login, _, rest = text.strip().rpartition("@")
    name, _, address = rest.partition("=")
    if not name:
        raise KubeinstallError(
            f'"{text}" names no host; write name, name=address or user@name=address'
        )
    variables: dict[str, Any] = {}
    if not address and _is_address(name):
        name, address = "node-" + name.replace(".", "-").replace(":", "-"), name
    if address.count(":") == 1:
        address, _, port = address.partition(":")
        variables["ansible_port"] = int(port)
    if address:
        variables["ansible_host"] = address
    if login:
        variables["ansible_user"] = login
    return Entry(name, variables)


def make_inventory(
    control_planes: Sequence[str],
    workers: Sequence[str],
    etcd: Sequence[str] = (),
    *,
    user: str = "root",
    private_key: str = "",
    cluster: dict[str, Any] | None = None,
) -> str:
    """The inventory as YAML; `etcd` empty is stacked etcd."""
    parsed = {
        group: [parse_entry(text) for text in names]
        for group, names in _groups(control_planes, workers, etcd)
    }
    shared: dict[str, Any] = {"ansible_user": user}
    if private_key:
        shared["ansible_ssh_private_key_file"] = private_key
    if cluster:
        shared["kubeinstall_cluster"] = cluster
    children: dict[str, Any] = {}
    told: set[str] = set()
    for group, entries in parsed.items():
        # A host's variables stand where it is named first.
        children[group] = {
            "hosts": {e.name: (e.variables if e.name not in told else {}) for e in entries}
        }
        told.update(entry.name for entry in entries)
    document = {"all": {"vars": shared, "children": children}}
    return _HEAD + yaml.safe_dump(document, sort_keys=False)


def _groups(
    control_planes: Sequence[str], workers: Sequence[str], etcd: Sequence[str]
) -> list[tuple[str, Sequence[str]]]:
    stacked = etcd or (control_planes if len(control_planes) > 1 else ())
    return [("kube_control_plane", control_planes), ("etcd", stacked), ("kube_node", workers)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
