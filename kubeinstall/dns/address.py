"""The DNS service's address on this host: put on loopback, so that no query leaves the node."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def add_addresses(addresses: Iterable[str], interface: str, netns: str | None = None) -> list[str]:
    """Add what is missing; the added ones are returned, for `remove_addresses`. Blocking."""
    from pyroute2 import IPRoute

    added: list[str] = []
    with IPRoute(netns=netns) if netns else IPRoute() as ipr:
        (index,) = ipr.link_lookup(ifname=interface)
        ipr.link("set", index=index, state="up")
        present = {
            message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            for message in ipr.get_addr(index=index)
        }
        for address in addresses:
            if address not in present:
                length = ipaddress.ip_address(address).max_prefixlen
                ipr.addr("add", index=index, address=address, prefixlen=length)
                added.append(address)
    return added


def remove_addresses(addresses: Iterable[str], interface: str, netns: str | None = None) -> None:
    """Remove addresses that are there. Blocking."""
    from pyroute2 import IPRoute

    with IPRoute(netns=netns) if netns else IPRoute() as ipr:
        for index in ipr.link_lookup(ifname=interface):
            present = {
                message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                for message in ipr.get_addr(index=index)
            }
            for address in addresses:
                if address in present:
                    length = ipaddress.ip_address(address).max_prefixlen
                    ipr.addr("del", index=index, address=address, prefixlen=length)
