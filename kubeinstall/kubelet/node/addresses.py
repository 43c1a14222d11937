"""The node's name and addresses."""

from __future__ import annotations

import ipaddress
import socket

from kubeinstall.errors import SettingsError


def node_name(override: str) -> str:
    """--hostname-override, else the host's name; lower case."""
    return (override or socket.gethostname()).strip().lower()


def node_ips(configured: str, hostname: str) -> list[str]:
    """--node-ip, else the address the name stands for, else that of the default route."""
    if configured:
        try:
            given = [str(ipaddress.ip_address(word.strip())) for word in configured.split(",")]
        except ValueError as error:
            raise SettingsError(f"node-ip: {error}") from error
        fixed = [ip for ip in given if not ipaddress.ip_address(ip).is_unspecified]
        if fixed:
            return fixed
    for candidate in (_resolved(hostname), _outgoing(socket.AF_INET), _outgoing(socket.AF_INET6)):
        if candidate:
            return [candidate]
    raise SettingsError("node-ip: no address of this host was found; give one")


def _resolved(hostname: str) -> str:
    try:
        found = socket.getaddrinfo(hostname, None, socket.AF_INET)
    except OSError:
        return ""
    for entry in found:
        address = ipaddress.ip_address(entry[4][0])
        if not address.is_loopback:
            return str(address)
    return ""


def _outgoing(family: socket.AddressFamily) -> str:
    """The source address of packets to elsewhere; nothing is sent."""
    target = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
            address = str(probe.getsockname()[0])
        except OSError:
            return ""
    return "" if ipaddress.ip_address(address).is_loopback else address
