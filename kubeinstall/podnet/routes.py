"""Routes to the pods of other nodes: plain host routes on a shared link, VXLAN otherwise.

Everything VXLAN needs follows from a node's address, so nodes need not tell each other anything: the
hardware address of its tunnel end is derived from its IP, and the tunnel end answers at the network
address of its pod CIDR.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubeinstall.runtime.logs import get_logger

log = get_logger("kube-podnet")

#: Marks routes as ours in the kernel (`ip route show proto 177`), so that strangers' are never touched.
PROTOCOL = 177
VXLAN_DEVICE = "kubevxlan"
VXLAN_ID = 1
_NEXTHOP_ONLINK = 4
_PERMANENT = 0x80
_SELF = 0x02


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node: its address and its pods' network, of one family."""

    name: str
    address: str
    pod_cidr: str


@dataclass(frozen=True, slots=True)
class Route:
    """A wanted route; `tunnel` is through VXLAN, else `via` is a neighbour on `link`."""

    destination: str
    via: str
    link: int
    tunnel: bool


def tunnel_mac(address: str) -> str:
    """The hardware address of a node's tunnel end: locally administered, derived from its IP."""
    digest = hashlib.sha256(address.encode()).digest()[:5]
    return ":".join(["0a", *(f"{byte:02x}" for byte in digest)])


class RouteTable:
    """Makes the kernel's routes match; every call is whole state. Blocking: run it in a thread."""

    def __init__(self, encapsulation: str, port: int, netns: str | None = None) -> None:
        self._encapsulation = encapsulation
        self._port = port
        self._netns = netns
        #: Some peer was reached through VXLAN at the last sync.
        self.tunnelling = False

    def sync(self, own_address: str, own_cidrs: Iterable[str], peers: Iterable[Peer]) -> int:
        """Add missing routes, remove those of nodes that are gone; how many changes were made.

        `own_address` is this node's, for the tunnel. Raises OSError or NetlinkError of pyroute2.
        """
        from pyroute2 import IPRoute

        wanted_peers = list(peers)
        with IPRoute(netns=self._netns) if self._netns else IPRoute() as ipr:
            links = self._links(ipr)
            tunnelled = [p for p in wanted_peers if self._tunnels(p, links)]
            self.tunnelling = bool(tunnelled)
            device = 0
            if tunnelled:
                device = self._device(ipr, own_address, links)
                self._tunnel_address(ipr, device, own_cidrs)
            wanted = {self._route(peer, links, device, peer in tunnelled) for peer in wanted_peers}
            changes = self._neighbours(ipr, device, tunnelled) if device else 0
            changes += self._routes(ipr, wanted)
            if not tunnelled:
                changes += self._remove_device(ipr)
        return changes

    def clear(self) -> None:
        """Remove all our routes and the tunnel."""
        self.sync("0.0.0.0", (), ())  # noqa: S104 - not bound to: nothing is tunnelled

    def _links(self, ipr: Any) -> list[tuple[Any, int]]:
        """(network, interface index) of every address of this host, pod networks left out."""
        found = []
        for message in ipr.get_addr():
            address = message.get_attr("IFA_ADDRESS") or message.get_attr("IFA_LOCAL")
            if address:
                network = ipaddress.ip_network(f"{address}/{message['prefixlen']}", strict=False)
                found.append((network, message["index"]))
        return found

    def _tunnels(self, peer: Peer, links: list[tuple[Any, int]]) -> bool:
        if self._encapsulation != "auto":
            return self._encapsulation == "always"
        return _link_of(peer.address, links) == 0

    def _route(self, peer: Peer, links: list[tuple[Any, int]], device: int, tunnel: bool) -> Route:
        if tunnel:
            gateway = str(ipaddress.ip_network(peer.pod_cidr).network_address)
            return Route(peer.pod_cidr, gateway, device, True)
        return Route(peer.pod_cidr, peer.address, _link_of(peer.address, links), False)

    def _routes(self, ipr: Any, wanted: set[Route]) -> int:
        present: set[Route] = set()
        changes = 0
        for message in ipr.get_routes(proto=PROTOCOL):
            destination = message.get_attr("RTA_DST")
            route = Route(
                f"{destination}/{message['dst_len']}",
                message.get_attr("RTA_GATEWAY") or "",
                message.get_attr("RTA_OIF") or 0,
                bool(message["flags"] & _NEXTHOP_ONLINK),
            )
            if route in wanted:
                present.add(route)
            else:
                ipr.route("del", dst=route.destination, oif=route.link, proto=PROTOCOL)
                changes += 1
        for route in wanted - present:
            arguments: dict[str, Any] = {"dst": route.destination, "gateway": route.via}
            if route.link:
                arguments["oif"] = route.link
            if route.tunnel:
                arguments["flags"] = _NEXTHOP_ONLINK
            ipr.route("replace", proto=PROTOCOL, **arguments)
            changes += 1
        return changes

    def _device(self, ipr: Any, own_address: str, links: list[tuple[Any, int]]) -> int:
        found = ipr.link_lookup(ifname=VXLAN_DEVICE)
        if found:
            return int(found[0])
        arguments: dict[str, Any] = {}
        link = _link_of(own_address, links)
        if link:
            arguments["vxlan_link"] = link
        key = "vxlan_local" if ":" not in own_address else "vxlan_local6"
        ipr.link(
            "add",
            ifname=VXLAN_DEVICE,
            kind="vxlan",
            vxlan_id=VXLAN_ID,
            vxlan_port=self._port,
            vxlan_learning=0,
            address=tunnel_mac(own_address),
            **{key: own_address},
            **arguments,
        )
        index = int(ipr.link_lookup(ifname=VXLAN_DEVICE)[0])
        ipr.link("set", index=index, state="up")
        log.info("VXLAN device made", device=VXLAN_DEVICE, address=own_address)
        return index

    def _tunnel_address(self, ipr: Any, device: int, own_cidrs: Iterable[str]) -> None:
        """The tunnel end's own address: the network address of this node's pod CIDR, as flannel does."""
        for cidr in own_cidrs:
            network = ipaddress.ip_network(cidr)
            prefix = network.max_prefixlen
            ipr.addr(
                "replace", index=device, address=str(network.network_address), prefixlen=prefix
            )

    def _neighbours(self, ipr: Any, device: int, peers: list[Peer]) -> int:
        wanted = {str(ipaddress.ip_network(peer.pod_cidr).network_address): peer for peer in peers}
        for message in ipr.get_neighbours(ifindex=device):
            address = message.get_attr("NDA_DST")
            if address not in wanted and message["state"] & _PERMANENT:
                ipr.neigh("del", dst=address, ifindex=device)
        macs = {tunnel_mac(peer.address) for peer in peers}
        for message in ipr.fdb("dump", ifindex=device):
            mac = message.get_attr("NDA_LLADDR")
            if message["ifindex"] == device and mac not in macs:
                ipr.fdb("del", ifindex=device, lladdr=mac, dst=message.get_attr("NDA_DST"))
        for gateway, peer in wanted.items():
            mac = tunnel_mac(peer.address)
            ipr.neigh("replace", dst=gateway, lladdr=mac, ifindex=device, state=_PERMANENT)
            ipr.fdb(
                "replace", ifindex=device, lladdr=mac, dst=peer.address,
                flags=_SELF, state=_PERMANENT,
            )  # fmt: skip
        return 0

    def _remove_device(self, ipr: Any) -> int:
        found = ipr.link_lookup(ifname=VXLAN_DEVICE)
        if not found:
            return 0
        ipr.link("del", index=found[0])
        return 1


def uplink_mtu(address: str, netns: str | None = None) -> int:
    """The MTU of the link that carries `address`; 1500 when no link does."""
    from pyroute2 import IPRoute

    with IPRoute(netns=netns) if netns else IPRoute() as ipr:
        for message in ipr.get_addr():
            if message.get_attr("IFA_LOCAL") == address or (
                message["family"] == socket.AF_INET6 and message.get_attr("IFA_ADDRESS") == address
            ):
                (link,) = ipr.get_links(message["index"])
                return int(link.get_attr("IFLA_MTU"))
    return 1500


def _link_of(address: str, links: list[tuple[Any, int]]) -> int:
    """The interface on which `address` is a neighbour, 0 when there is none. Host addresses do not count."""
    target = ipaddress.ip_address(address)
    best = (0, 0)
    for network, index in links:
        if target.version == network.version and target in network:
            if network.prefixlen == network.max_prefixlen:
                continue
            best = max(best, (network.prefixlen, index))
    return best[1]
