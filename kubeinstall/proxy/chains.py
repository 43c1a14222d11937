"""Names and texts of the chains that DNAT, one for each *shape* of a service port.

A shape says how many endpoints there are and what is to happen on the way, never which service it is:
ten thousand services with three endpoints share one chain, and the endpoint is found in a shared map by
`address . protocol . port . random number below 3`. So the cost of a packet does not grow with services,
and a new service is a few map elements, not a chain with jumps that the kernel has to validate.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Bit of the packet mark that asks for masquerading; upstream's default `--iptables-masquerade-bit`.
MASQUERADE_MARK = 0x4000
#: Bits of the packet mark that carry the affinity id of a service through the NAT hook. The whole mark,
#: masquerade bit included, is the key in the maps (libnftables 1.0.6 aborts on masks inside a key).
AFFINITY_SHIFT = 16
AFFINITY_MASK = 0xFFFF0000
_TRANSPORT = "meta l4proto { tcp, udp, sctp }"


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between the two tables: nftables' family and words.

    `learns`: clients' endpoints are remembered in a map. libnftables 1.0.6 aborts on `update` with keys
    over 16 bytes, so IPv6 clients keep their endpoint by a hash of their address instead.
    """

    name: str  # ip, ip6
    slice_type: str  # IPv4, IPv6
    loopback: str
    reject: str
    learns: bool


IPV4 = Family("ip", "IPv4", "127.0.0.0/8", "reject with icmp type port-unreachable", True)
IPV6 = Family("ip6", "IPv6", "::1", "reject with icmpv6 type port-unreachable", False)


@dataclass(frozen=True, slots=True)
class Masquerading:
    """Which traffic to cluster IPs is masqueraded; `cluster_cidr` is of the table's family or empty."""

    cluster_cidr: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One chain. `kind`: internal (cluster IP), external (any node's endpoints), local (this node's only),
    inner (where a local chain sends traffic of this cluster; its marks are set by then).

    `count` is the number of cluster-wide endpoints, `local` of those on this node. `policy` is the list
    an internal chain picks from ("cluster" or "local").
    """

    kind: str
    node_port: bool
    count: int
    local: int = 0
    policy: str = "cluster"
    affinity: bool = False

    @property
    def name(self) -> str:
        """The chain's name, e.g. `svc-external-nodeport-3`."""
        parts = ["svc", self.kind]
        if self.node_port:
            parts.append("nodeport")
        if self.policy == "local":
            parts.append("own")
        if self.affinity:
            parts.append("sticky")
        parts.append(str(self.count))
        if self.kind == "local":
            parts.append(str(self.local))
        return "-".join(parts)

    def inner(self) -> Shape:
        """The chain a local-policy chain hands cluster traffic to."""
        return Shape("inner", self.node_port, self.count, affinity=self.affinity)


def render(shape: Shape, family: Family, masquerading: Masquerading) -> list[str]:
    """The rules of `shape`'s chain, in order."""
    if shape.kind == "inner":
        return _pick(shape, family, "cluster", shape.count)
    rules: list[str] = []
    if shape.affinity and family.learns:
        prefix = "nodeport-" if shape.node_port else ""
        rules.append(f"meta mark set {_key(shape, family)} map @{prefix}affinity-ids")
    mark = f"meta mark set meta mark | {MASQUERADE_MARK:#x}"
    cidr = masquerading.cluster_cidr
    if shape.kind == "internal":
        if masquerading.everything:
            rules.append(mark)
        elif cidr:
            rules.append(f"{family.name} saddr != {cidr} {mark}")
        return rules + _pick(shape, family, shape.policy, shape.count)
    if shape.kind == "external":
        return [*rules, mark, *_pick(shape, family, "cluster", shape.count)]
    if shape.count:
        # Pods and this node may reach any endpoint through an external address: what would come back
        # to the node anyway gains nothing from the detour (upstream's "short-circuit").
        inner = shape.inner().name
        if cidr:
            rules.append(f"{family.name} saddr {cidr} goto {inner}")
        rules.append(f"fib saddr type local {mark} goto {inner}")
    return rules + _pick(shape, family, "local", shape.local)


def _pick(shape: Shape, family: Family, policy: str, count: int) -> list[str]:
    if not count:
        return []
    prefix = ("nodeport-" if shape.node_port else "") + ("local-" if policy == "local" else "")
    dnat = f"{_TRANSPORT} dnat {family.name} to"
    rules = []
    slot = f"numgen random mod {count}"
    if shape.affinity and family.learns:
        rules.append(f"{dnat} {family.name} saddr . meta mark map @affinity")
    elif shape.affinity:
        slot = f"jhash {family.name} saddr mod {count}"
    rules.append(f"{dnat} {_key(shape, family)} . {slot} map @{prefix}endpoints")
    return rules


def _key(shape: Shape, family: Family) -> str:
    if shape.node_port:
        return "meta l4proto . th dport"
    return f"{family.name} daddr . meta l4proto . th dport"
