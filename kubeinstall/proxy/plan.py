"""What one service means in the table: map and set elements, and the chains they need.

A plan is a plain dict `"<map> <key>" → value` ("" for a set), so that two plans of a service compare by
key and only what differs goes to the kernel.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeinstall.proxy.chains import (
    AFFINITY_SHIFT,
    MASQUERADE_MARK,
    Family,
    Masquerading,
    Shape,
    render,
)
from kubeinstall.proxy.endpoints import Endpoint, Reachable
from kubeinstall.proxy.ruleset import learn_chain
from kubeinstall.proxy.service import ServiceInfo, ServicePort

Elements = dict[str, str]
Chains = dict[str, list[str]]
_HAIRPIN = "hairpin "


@dataclass(slots=True)
class Plan:
    """Elements and chains of one service in one family; `targets` are `address:port` by affinity mark."""

    masquerading: Masquerading = field(default_factory=Masquerading)
    shapes: set[Shape] = field(default_factory=set)
    elements: Elements = field(default_factory=dict)
    chains: Chains = field(default_factory=dict)
    hairpin: set[str] = field(default_factory=set)
    targets: dict[int, frozenset[tuple[str, int]]] = field(default_factory=dict)


def plan_service(
    service: ServiceInfo,
    reachable: dict[str, Reachable],
    family: Family,
    masquerading: Masquerading,
) -> Plan:
    """The plan of `service`; `reachable` is by port name and protocol (`"name/tcp"`)."""
    plan = Plan(masquerading)
    cluster_ips = of_family(service.cluster_ips, family)
    if not cluster_ips and not of_family(service.external_ips + service.balancer_ips, family):
        return plan
    for address in cluster_ips:
        plan.elements[f"cluster-ips {address}"] = ""
    for port in service.ports:
        found = reachable[f"{port.name}/{port.protocol}"]
        _PortPlanner(plan, service, port, found, family, masquerading).run(cluster_ips)
    return plan


def of_family(addresses: Iterable[str], family: Family) -> list[str]:
    """Those addresses or networks that belong to `family`."""
    wanted = 4 if family.name == "ip" else 6
    return [a for a in addresses if ipaddress.ip_network(a, strict=False).version == wanted]


def affinity_id(service: ServiceInfo, port: ServicePort) -> int:
    """The mark of a sticky service port: the same at each start, so that clients keep their endpoint.

    16 bits; should two services share one, they share clients' choices only where those fit both.
    """
    return (zlib.crc32(f"{service.key}:{port.name}/{port.protocol}".encode()) % 0xFFFF + 1) << (
        AFFINITY_SHIFT
    )


class _PortPlanner:
    """Fills `plan` for one port."""

    def __init__(
        self,
        plan: Plan,
        service: ServiceInfo,
        port: ServicePort,
        found: Reachable,
        family: Family,
        masquerading: Masquerading,
    ) -> None:
        self.plan, self.service, self.port, self.found = plan, service, port, found
        self.family, self.masquerading = family, masquerading
        self.mark = affinity_id(service, port) if service.affinity else 0

    def run(self, cluster_ips: list[str]) -> None:
        for address in cluster_ips:
            self._internal(address)
        for address in of_family(
            self.service.external_ips + self.service.balancer_ips, self.family
        ):
            self._external(f"{address} . {self.port.protocol} . {self.port.port}", False)
        for address in of_family(self.service.balancer_ips, self.family):
            self._firewall(address)
        if self.port.node_port:
            self._external(f"{self.port.protocol} . {self.port.node_port}", True)
        everything = {*self.found.cluster, *self.found.local}
        self.plan.hairpin.update(e.ip for e in everything if e.local)
        if self.mark and self.family.learns and everything:
            self._affinity(everything)

    def _internal(self, address: str) -> None:
        key = f"{address} . {self.port.protocol} . {self.port.port}"
        policy = "local" if self.service.internal_local else "cluster"
        chosen = self.found.local if policy == "local" else self.found.cluster
        if not chosen:
            verdict = "drop" if self.found.cluster else "goto reject-chain"
            self._set("no-endpoint-services", key, verdict)
            return
        self._dispatch(
            "service-ips", key, Shape("internal", False, len(chosen), 0, policy, bool(self.mark))
        )
        self._slots(policy, key, False, chosen)

    def _external(self, key: str, node_port: bool) -> None:
        cluster, local = self.found.cluster, self.found.local
        refuse = "no-endpoint-nodeports" if node_port else "no-endpoint-services"
        sticky = bool(self.mark)
        if not cluster and not (self.service.external_local and local):
            self._set(refuse, key, "goto reject-chain")
            return
        if self.service.external_local:
            shape = Shape("local", node_port, len(cluster), len(local), affinity=sticky)
            if not local:
                self._set(refuse, key, "drop")
            if cluster:
                self._chain(shape.inner())
            self._slots("local", key, node_port, local)
        else:
            shape = Shape("external", node_port, len(cluster), affinity=sticky)
        self._slots("cluster", key, node_port, cluster)
        self._dispatch("service-nodeports" if node_port else "service-ips", key, shape)

    def _firewall(self, address: str) -> None:
        """Only the listed sources may use the load balancer's address (and the address itself)."""
        if not self.service.source_ranges:
            return
        ranges = of_family(self.service.source_ranges, self.family)
        allowed = _collapse([*ranges, address])
        name = f"firewall-{zlib.crc32(', '.join(allowed).encode()):08x}"
        self.plan.chains[name] = [
            f"{self.family.name} saddr != {{ {', '.join(allowed)} }} drop",
        ]
        key = f"{address} . {self.port.protocol} . {self.port.port}"
        self._set("firewall-ips", key, f"goto {name}")

    def _affinity(self, everything: set[Endpoint]) -> None:
        name, rules = learn_chain(self.family, self.service.affinity)
        self.plan.chains[name] = rules
        targets = frozenset((e.ip, e.port) for e in everything)
        for mark in (self.mark, self.mark | MASQUERADE_MARK):
            self._set("affinity-learn", f"{mark:#x}", f"goto {name}")
            self.plan.targets[mark] = targets

    def _dispatch(self, table_map: str, key: str, shape: Shape) -> None:
        self._chain(shape)
        self._set(table_map, key, f"goto {shape.name}")
        if self.mark and self.family.learns:
            prefix = "nodeport-" if shape.node_port else ""
            self._set(f"{prefix}affinity-ids", key, f"{self.mark:#x}")

    def _slots(
        self, policy: str, key: str, node_port: bool, endpoints: tuple[Endpoint, ...]
    ) -> None:
        prefix = ("nodeport-" if node_port else "") + ("local-" if policy == "local" else "")
        for slot, endpoint in enumerate(endpoints):
            self._set(f"{prefix}endpoints", f"{key} . {slot}", f"{endpoint.ip} . {endpoint.port}")

    def _chain(self, shape: Shape) -> None:
        self.plan.shapes.add(shape)
        self.plan.chains[shape.name] = render(shape, self.family, self.masquerading)

    def _set(self, table_map: str, key: str, value: str) -> None:
        self.plan.elements[f"{table_map} {key}"] = value


def _collapse(networks: list[str]) -> list[str]:
    """Networks without overlaps, which nftables refuses in one set."""
    parsed = [ipaddress.ip_network(network, strict=False) for network in networks]
    four = ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv6Network))
    return [str(network) for network in [*four, *six]]
