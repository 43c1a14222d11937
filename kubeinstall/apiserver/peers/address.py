"""Where other members of the cluster reach this API server."""

from __future__ import annotations

import ipaddress
import socket

from kubeinstall.apiserver.config import ApiServerSettings

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def advertised_address(settings: ApiServerSettings) -> str:
    """The address that other members of the cluster reach this server at.

    Without a setting it is the source address of the default route, as upstream chooses it; on a
    host without one, loopback.
    """
    for candidate in (settings.advertise_address, settings.bind_address):
        if candidate not in _ANY:
            return str(ipaddress.ip_address(candidate))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only makes the kernel choose a route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
