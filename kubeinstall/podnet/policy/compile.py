"""From policies to chains, sets and maps.

Two base chains see every packet that is forwarded, one for what its sender may send and one for what its
receiver may receive; `accept` in the first passes the packet on to the second. A map from a local pod's
address leads to the chain of its *combination* of policies: pods with the same policies share one. Such a
chain tries each policy and drops what none accepted. Who a peer is lives in sets of addresses, so a pod that
comes or goes changes elements only, and a packet costs the same however many pods there are.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.podnet.policy.model import Cluster, Pod

INGRESS, EGRESS = "ingress", "egress"


@dataclass(slots=True)
class Wanted:
    """The table's changing part: rules by chain, elements by set, and the type of each set."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


def compile_policies(
    policies: Iterable[Object], cluster: Cluster, node: str, family: str
) -> Wanted:
    """What the table of `family` ("ip" or "ip6") on `node` must hold."""
    return _Compiler(cluster, node, family).run(list(policies))


class _Compiler:
    def __init__(self, cluster: Cluster, node: str, family: str) -> None:
        self._cluster, self._node, self._family = cluster, node, family
        self._version = 4 if family == "ip" else 6
        self._wanted = Wanted(sets={"pods-ingress": {}, "pods-egress": {}, "itself": {}})
        self._selected: dict[str, dict[str, list[str]]] = {INGRESS: {}, EGRESS: {}}

    def run(self, policies: list[Object]) -> Wanted:
        for policy in policies:
            self._policy(policy)
        for direction, chosen in self._selected.items():
            for address, chains in chosen.items():
                name = f"{direction}-{_digest(*sorted(chains))}"
                if name not in self._wanted.chains:
                    rules = [f"jump {chain}" for chain in sorted(chains)]
                    self._wanted.chains[name] = [*rules, "drop"]
                self._wanted.sets[f"pods-{direction}"][address] = f"goto {name}"
                # Nobody can be cut off from itself, though the way be through a Service.
                self._wanted.sets["itself"][f"{address} . {address}"] = ""
        return self._wanted

    def _policy(self, policy: Object) -> None:
        meta, spec = policy["metadata"], policy.get("spec") or {}
        namespace = meta["namespace"]
        subjects = [
            pod
            for pod in self._cluster.select(namespace, spec.get("podSelector"))
            if pod.node == self._node
        ]
        if not subjects:
            return
        for direction in _directions(spec):
            name = f"{direction}-policy-{_digest(namespace, meta['name'])}"
            rules: list[str] = []
            for rule in spec.get(direction) or []:
                rules += self._rule(namespace, direction, rule, subjects)
            self._wanted.chains[name] = rules
            for pod in subjects:
                for address in self._of_family(pod.addresses):
                    self._selected[direction].setdefault(address, []).append(name)

    def _rule(self, namespace: str, direction: str, rule: Object, subjects: list[Pod]) -> list[str]:
        who = rule.get("from" if direction == INGRESS else "to") or []
        matches, peers = self._peers(namespace, direction, who)
        if not who:
            matches = [""]
        receivers = subjects if direction == INGRESS else peers
        ports = self._ports(rule.get("ports") or [], receivers)
        return [
            " ".join(part for part in (peer, port, "accept") if part)
            for peer in matches
            for port in ports
        ]

    def _peers(
        self, namespace: str, direction: str, who: list[Object]
    ) -> tuple[list[str], list[Pod]]:
        """(matches of the other end, pods among them)."""
        field_name = "saddr" if direction == INGRESS else "daddr"
        pods: list[Pod] = []
        matches: list[str] = []
        for peer in who:
            block = peer.get("ipBlock")
            if block is None:
                pods += self._cluster.peers(namespace, peer)
            elif (match := self._block(block, field_name)) is not None:
                matches.append(match)
        if any(peer.get("ipBlock") is None for peer in who):
            addresses = sorted({a for pod in pods for a in self._of_family(pod.addresses)})
            selectors = [peer for peer in who if peer.get("ipBlock") is None]
            name = f"peers-{_digest(namespace, _text(selectors))}"
            self._wanted.types[name] = f"typeof {self._family} saddr"
            self._wanted.sets[name] = dict.fromkeys(addresses, "")
            matches.append(f"{self._family} {field_name} @{name}")
        return matches, pods

    def _block(self, block: Object, field_name: str) -> str | None:
        network = ipaddress.ip_network(block["cidr"], strict=False)
        if network.version != self._version:
            return None
        # Every address of the family needs no match, and 0.0.0.0/0 cannot be one.
        match = "" if network.prefixlen == 0 else f"{self._family} {field_name} {network}"
        excepted = _collapsed(block.get("except") or [], self._version)
        if excepted:
            match += f" {self._family} {field_name} != {{ {', '.join(excepted)} }}"
        return match.strip()

    def _ports(self, ports: list[Object], receivers: list[Pod]) -> list[str]:
        if not ports:
            return [""]
        matches: list[str] = []
        for port in ports:
            protocol = (port.get("protocol") or "TCP").lower()
            number = port.get("port")
            if number is None:
                matches.append(f"meta l4proto {protocol}")
            elif isinstance(number, int):
                end = port.get("endPort")
                matches.append(
                    f"{protocol} dport {number}-{end}" if end else f"{protocol} dport {number}"
                )
            else:
                matches.append(self._named(str(number), protocol, receivers))
        return matches

    def _named(self, name: str, protocol: str, receivers: list[Pod]) -> str:
        """A named port means another number in each pod: match address and port together."""
        elements = {
            f"{address} . {protocol} . {number}": ""
            for pod in receivers
            for port, kind, number in pod.ports
            if port == name and kind == protocol
            for address in self._of_family(pod.addresses)
        }
        identity = sorted((pod.namespace, pod.name) for pod in receivers)
        label = f"named-{_digest(name, protocol, _text(identity))}"
        self._wanted.types[label] = f"typeof {self._family} daddr . meta l4proto . th dport"
        self._wanted.sets[label] = elements
        return f"{self._family} daddr . meta l4proto . th dport @{label}"

    def _of_family(self, addresses: Iterable[str]) -> list[str]:
        return [a for a in addresses if (":" in a) == (self._version == 6)]


def _directions(spec: Object) -> list[str]:
    types = spec.get("policyTypes")
    if types is None:
        return [INGRESS, EGRESS] if spec.get("egress") else [INGRESS]
    return [word for word, kind in ((INGRESS, "Ingress"), (EGRESS, "Egress")) if kind in types]


def _collapsed(networks: list[str], version: int) -> list[str]:
    parsed: list[Any] = [ipaddress.ip_network(network, strict=False) for network in networks]
    return [str(n) for n in ipaddress.collapse_addresses(p for p in parsed if p.version == version)]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
