"""Which API servers there are: those that the Service `default/kubernetes` has, and lately had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeinstall.api.types import Object
from kubeinstall.balancer.haproxy import server_name
from kubeinstall.pki.identity import join_host_port


def published(slices: Iterable[Object]) -> set[str]:
    """host:port of every endpoint in EndpointSlices of `default/kubernetes`."""
    found = set()
    for piece in slices:
        ports = [entry["port"] for entry in piece.get("ports") or () if entry.get("port")]
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            found |= {
                join_host_port(address, port)
                for address in endpoint.get("addresses") or ()
                for port in ports
            }
    return found


class Servers:
    """The list, with a memory: who disappears stays `keep` seconds, since haproxy knows by itself who answers."""

    def __init__(self, given: Mapping[str, str], keep: float, now: float) -> None:
        self._keep = keep
        self._names = {address: name for name, address in given.items()}
        self._seen = dict.fromkeys(given.values(), now)

    def update(self, current: set[str], now: float) -> dict[str, str]:
        """Name → host:port to balance over. Nothing published at all changes nothing: it is not believed."""
        if current:
            for address in current:
                self._seen[address] = now
            self._seen = {a: at for a, at in self._seen.items() if now - at <= self._keep}
        return {self._names.get(address) or server_name(address): address for address in self._seen}

    def next_look(self, now: float) -> float | None:
        """Seconds until one that is kept may have to go; None when nothing is kept."""
        oldest = min(self._seen.values(), default=now)
        return None if oldest >= now else max(self._keep - (now - oldest), 0.0) + 1.0
