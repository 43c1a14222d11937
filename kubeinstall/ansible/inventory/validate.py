"""What is wrong with an inventory, told with host and variable, before any host is touched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeinstall.ansible.inventory.model import CONTROL_PLANE, ETCD, NODE, Host, Inventory
from kubeinstall.ansible.inventory.schema import (
    INTERNAL,
    PREFIXES,
    ROLE_VARIABLES,
    SHARED,
    VARIABLES,
)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MOST_ETCD = 7
_SHORTEST_UPKEEP = 300


@dataclass(frozen=True)
class Finding:
    """One problem. `host` is empty for what concerns all, `variable` for what no variable says."""

    host: str
    variable: str
    message: str


def problems(inventory: Inventory) -> list[Finding]:
    """Everything wrong, in the inventory's order; a shared variable is complained about once."""
    found = list(_groups(inventory))
    for host in inventory.hosts.values():
        found += _names(host)
        found += _variables(host)
    found += _addresses(inventory)
    found += _shared(inventory)
    found += _documents(inventory)
    found += _upkeep(inventory)
    return list(dict.fromkeys(_once(found)))


def _once(found: list[Finding]) -> Iterator[Finding]:
    """A wrong group variable is wrong on every host: said once, of the first."""
    seen: set[tuple[str, str]] = set()
    for finding in found:
        key = (finding.variable, finding.message)
        if finding.variable in SHARED and key in seen:
            continue
        seen.add(key)
        yield finding


def _groups(inventory: Inventory) -> Iterator[Finding]:
    if not inventory.control_planes:
        yield Finding("", "", f"group {CONTROL_PLANE} has no host; at least one is needed")
    if not inventory.etcd and len(inventory.control_planes) > 1:
        yield Finding(
            "", "", f"group {ETCD} has no host; with several control planes their datastore is etcd"
        )
    if len(inventory.etcd) > _MOST_ETCD:
        yield Finding(
            "", "", f"group {ETCD} has {len(inventory.etcd)} hosts; {_MOST_ETCD} are the most"
        )
    if inventory.etcd and len(inventory.etcd) % 2 == 0:
        yield Finding(
            "",
            "",
            f"group {ETCD} has {len(inventory.etcd)} hosts; an even number tolerates no more failures "
            "than one host less, and is likelier to fail: use 1, 3, 5 or 7",
        )
    only_etcd = set(inventory.etcd) - set(inventory.control_planes)
    for name in sorted(only_etcd & set(inventory.nodes)):
        yield Finding(
            name, "", f"is in {ETCD} and {NODE}; a host of etcd is a control plane or no node"
        )


def _names(host: Host) -> Iterator[Finding]:
    if not _NAME.fullmatch(host.name) or len(host.name) > 253:
        yield Finding(
            host.name,
            "",
            f'"{host.name}" is no node name: a lowercase RFC 1123 subdomain (a-z, 0-9, "-" and ".")',
        )


def _variables(host: Host) -> Iterator[Finding]:
    from jsonschema import Draft202012Validator

    for name, value in host.variables.items():
        if name in INTERNAL or name in ROLE_VARIABLES or not name.startswith(PREFIXES):
            continue
        schema = VARIABLES.get(name)
        if schema is None:
            yield Finding(host.name, name, f"unknown variable{_suggest(name)}")
            continue
        for error in Draft202012Validator(schema).iter_errors(value):
            where = "".join(
                f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path
            )
            yield Finding(
                host.name, name, f"{where.lstrip('.') + ': ' if where else ''}{error.message}"
            )


def _suggest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, VARIABLES, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _addresses(inventory: Inventory) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for host in inventory.hosts.values():
        variable = "node_ip" if host.variables.get("node_ip") else "ansible_host"
        if not host.address:
            given = host.variables.get(variable) or host.name
            yield Finding(
                host.name, variable, f"{given!r} is no address and does not resolve to one"
            )
            continue
        address = ipaddress.ip_address(host.address)
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            yield Finding(
                host.name, variable, f"{host.address} is not an address that other hosts can reach"
            )
        other = owners.setdefault(host.address, host.name)
        if other != host.name:
            yield Finding(host.name, variable, f"{host.address} is the address of {other} too")


def _shared(inventory: Inventory) -> Iterator[Finding]:
    for variable in SHARED:
        values: list[tuple[str, Any]] = [
            (h.name, h.variables.get(variable)) for h in inventory.hosts.values()
        ]
        for name, value in values[1:]:
            if value != values[0][1]:
                yield Finding(
                    name,
                    variable,
                    f"differs from {values[0][0]}'s; it must be the same on every host",
                )


def _upkeep(inventory: Inventory) -> Iterator[Finding]:
    from kubeinstall.config.durations import parse_duration

    variable = "kubeinstall_etcd_upkeep"
    for host in inventory.hosts.values():
        given = host.variables.get(variable)
        if not isinstance(given, dict) or not isinstance(given.get("every"), str):
            continue
        try:
            seconds = parse_duration(given["every"]).total_seconds()
        except ValueError as error:
            yield Finding(host.name, variable, f"every: {error}")
            continue
        if seconds and seconds < _SHORTEST_UPKEEP:
            yield Finding(host.name, variable, "every: must be at least 5m, or 0 for no snapshots")


def _documents(inventory: Inventory) -> Iterator[Finding]:
    """The kubeadm documents, by the checks that `init` has."""
    from kubeinstall.config.documents import Document
    from kubeinstall.config.effective import problems_in
    from kubeinstall.config.schemas import KUBELET, PROXY, V1BETA4

    host = next(iter(inventory.hosts.values()), None)
    if host is None:
        return
    for variable, api_version, kind in (
        ("kubeinstall_cluster", V1BETA4, "ClusterConfiguration"),
        ("kubeinstall_kubelet", KUBELET, "KubeletConfiguration"),
        ("kubeinstall_proxy", PROXY, "KubeProxyConfiguration"),
    ):
        given = host.variables.get(variable)
        if not isinstance(given, dict):
            continue
        data = {**given, "apiVersion": api_version, "kind": kind}
        for problem in problems_in([Document(data, variable)]):
            field = f"{problem.field}: " if problem.field else ""
            yield Finding(host.name, variable, f"{field}{problem.message}")
        if (
            variable == "kubeinstall_cluster"
            and (given.get("etcd") or {}).get("external")
            and inventory.etcd
        ):
            yield Finding(
                host.name,
                variable,
                f"etcd.external: the hosts of group {ETCD} are the datastore; empty one",
            )
