"""The fixed part of the table: maps, sets, base chains. Everything else is elements and shape chains.

Hooks and priorities are those of upstream's nftables mode: what has no endpoints is refused before DNAT,
unknown ports of cluster IPs after it.
"""

from __future__ import annotations

from kubeinstall.proxy.chains import AFFINITY_MASK, MASQUERADE_MARK, Family

TABLE = "kube-proxy"
AFFINITY_LIMIT = 1_048_576  # clients remembered

_VIP = "{ip} daddr . meta l4proto . th dport"
_PORT = "meta l4proto . th dport"


def _maps(family: Family) -> list[str]:
    vip, port, ip = _VIP.format(ip=family.name), _PORT, family.name
    slot, to = "numgen random mod 2", f"{family.name} daddr . th dport"
    lines = [f"map {n} {{ typeof {vip} : verdict; }}" for n in ("service-ips", "firewall-ips")]
    lines.append(f"map no-endpoint-services {{ typeof {vip} : verdict; }}")
    lines += [
        f"map {n} {{ typeof {port} : verdict; }}"
        for n in ("service-nodeports", "no-endpoint-nodeports")
    ]
    lines += [
        f"map {n} {{ typeof {vip} . {slot} : {to}; }}" for n in ("endpoints", "local-endpoints")
    ]
    lines += [
        f"map nodeport-{n} {{ typeof {port} . {slot} : {to}; }}"
        for n in ("endpoints", "local-endpoints")
    ]
    lines.append(f"map affinity-ids {{ typeof {vip} : meta mark; }}")
    lines.append(f"map nodeport-affinity-ids {{ typeof {port} : meta mark; }}")
    lines.append(
        f"map affinity {{ typeof {ip} saddr . meta mark : {to}; size {AFFINITY_LIMIT};"
        " flags dynamic,timeout; timeout 3h; }"
    )
    lines.append("map affinity-learn { typeof meta mark : verdict; }")
    lines.append(f"set cluster-ips {{ typeof {ip} daddr; }}")
    lines.append(f"set hairpin {{ typeof {ip} saddr . {ip} daddr; }}")
    return lines


def _chain(name: str, *rules: str, hook: str = "") -> str:
    body = ([f"{hook};"] if hook else []) + list(rules)
    return f"chain {name} {{\n" + "\n".join(body) + "\n}"


def _node_ports(family: Family, node_addresses: tuple[str, ...]) -> str:
    """The match of packets to a node port: any local address but loopback, or those of given networks."""
    match = f"fib daddr type local {family.name} daddr != {family.loopback}"
    if node_addresses:
        match += f" {family.name} daddr {{ {', '.join(node_addresses)} }}"
    return match


def base(family: Family, node_addresses: tuple[str, ...] = ()) -> str:
    """The inside of the table (without `table … {`)."""
    ip, vip = family.name, _VIP.format(ip=family.name)
    local = _node_ports(family, node_addresses)
    refuse_services = f"ct state new {vip} vmap @no-endpoint-services"
    refuse_node_ports = f"ct state new {local} {_PORT} vmap @no-endpoint-nodeports"
    firewall = f"ct state new {vip} vmap @firewall-ips"
    cluster_ips = f"ct state new {ip} daddr @cluster-ips {family.reject}"
    learn = "ct state new meta mark vmap @affinity-learn"
    chains = [
        _chain("reject-chain", family.reject),
        _chain(
            "services",
            f"{vip} vmap @service-ips",
            f"{local} {_PORT} vmap @service-nodeports",
        ),
        _chain("nat-prerouting", "jump services", hook="type nat hook prerouting priority -100"),
        _chain("nat-output", "jump services", hook="type nat hook output priority -100"),
        _chain(
            "nat-postrouting",
            f"{ip} saddr . {ip} daddr @hairpin masquerade fully-random",
            f"meta mark & {MASQUERADE_MARK:#x} == 0 return",
            f"meta mark set meta mark & {0xFFFFFFFF ^ MASQUERADE_MARK:#x}",
            "masquerade fully-random",
            hook="type nat hook postrouting priority 100",
        ),
        _chain("filter-prerouting", firewall, hook="type filter hook prerouting priority -110"),
        _chain(
            "filter-input",
            refuse_node_ports,
            refuse_services,
            hook="type filter hook input priority -110",
        ),
        _chain(
            "filter-forward",
            refuse_services,
            cluster_ips,
            hook="type filter hook forward priority -110",
        ),
        _chain(
            "filter-output",
            refuse_services,
            firewall,
            hook="type filter hook output priority -110",
        ),
        _chain(
            "filter-output-post-dnat",
            cluster_ips,
            hook="type filter hook output priority -90",
        ),
        # After DNAT the packet shows the endpoint chosen, the mark which service it was: remember.
        _chain("learn-input", learn, hook="type filter hook input priority -80"),
        _chain("learn-forward", learn, hook="type filter hook forward priority -80"),
        _chain("learn-output", learn, hook="type filter hook output priority -80"),
    ]
    return "\n".join([*_maps(family), *chains])


def learn_chain(family: Family, seconds: int) -> tuple[str, list[str]]:
    """Name and rules of the chain that remembers a client's endpoint for `seconds`."""
    ip = family.name
    return (
        f"learn-{seconds}",
        [
            f"update @affinity {{ {ip} saddr . meta mark timeout {seconds}s : {ip} daddr . th dport }}",
            f"meta mark set meta mark & {0xFFFFFFFF ^ AFFINITY_MASK:#x}",
        ],
    )
