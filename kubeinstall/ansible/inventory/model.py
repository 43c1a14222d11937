"""An inventory, read: hosts with their groups, addresses and variables."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONTROL_PLANE, ETCD, NODE = "kube_control_plane", "etcd", "kube_node"
GROUPS = (CONTROL_PLANE, ETCD, NODE)

Object = dict[str, Any]


@dataclass(frozen=True)
class Host:
    """`address` is the host's own; empty when it cannot be told. `variables` are all that apply to it."""

    name: str
    address: str
    variables: Object = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """Hosts in the inventory's order, and the members of our groups."""

    hosts: dict[str, Host]
    control_planes: tuple[str, ...] = ()
    etcd: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    @property
    def workers(self) -> tuple[str, ...]:
        """Nodes that are no control planes."""
        return tuple(name for name in self.nodes if name not in self.control_planes)

    @property
    def clustered(self) -> bool:
        """Whether etcd is used: one control plane alone may have the embedded datastore."""
        return bool(self.etcd)

    def without(self, names: Collection[str]) -> Inventory:
        """The inventory that is left when these hosts have gone."""
        if not names:
            return self

        def kept(members: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in members if name not in names)

        hosts = {name: host for name, host in self.hosts.items() if name not in names}
        return Inventory(hosts, kept(self.control_planes), kept(self.etcd), kept(self.nodes))


def read_inventory(
    groups: Mapping[str, Sequence[str]], variables: Mapping[str, Mapping[str, Any]]
) -> Inventory:
    """From Ansible's groups (name → hosts) and host variables (host → variables)."""
    members = {group: tuple(groups.get(group, ())) for group in GROUPS}
    names = dict.fromkeys(name for group in GROUPS for name in members[group])
    hosts = {
        name: Host(name, address_of(name, variables[name]), dict(variables[name])) for name in names
    }
    return Inventory(hosts, members[CONTROL_PLANE], members[ETCD], members[NODE])


def address_of(name: str, variables: Mapping[str, Any]) -> str:
    """`node_ip`, else what `ansible_host` or the name is or resolves to; empty when none of it helps."""
    given = str(variables.get("node_ip") or variables.get("ansible_host") or name)
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(given, None, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    addresses = [str(entry[4][0]) for entry in found]
    return next((a for a in addresses if not ipaddress.ip_address(a).is_loopback), "")
