"""The names of a cluster, as the DNS specification of Kubernetes gives them, with CoreDNS' habits.

web.default.svc.cluster.local            A/AAAA of the cluster IPs, or of all ready endpoints if headless
_http._tcp.web.default.svc.cluster.local SRV
db-0.db.default.svc.cluster.local        an endpoint by hostname (or by its address with dashes)
10-244-0-7.default.pod.cluster.local     the address in the name ("pods insecure")
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object

SPEC_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True)
class Target:
    """One answer to a service question: an address with the port, and the name of its own for SRV."""

    address: str
    port: int
    name: str


@dataclass(frozen=True, slots=True)
class Port:
    """A named port."""

    name: str
    protocol: str
    number: int


@dataclass(slots=True)
class Endpoint:
    """A ready endpoint; `label` is its hostname or its address with dashes."""

    address: str
    label: str
    ports: tuple[Port, ...]


@dataclass(slots=True)
class Service:
    """What names lead to."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...] = ()
    headless: bool = False
    external: str = ""
    ports: tuple[Port, ...] = ()
    endpoints: list[Endpoint] = field(default_factory=list)


def parse_service(obj: Object, slices: Iterable[Object]) -> Service:
    """A service with its endpoints."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    external = spec.get("externalName", "") if spec.get("type") == "ExternalName" else ""
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    headless = not external and (not ips or ips[0] in ("None", ""))
    return Service(
        namespace=meta["namespace"],
        name=meta["name"],
        cluster_ips=() if headless or external else tuple(ips),
        headless=headless,
        external=external.rstrip("."),
        ports=_ports(spec.get("ports"), "port"),
        endpoints=[endpoint for piece in slices for endpoint in _endpoints(piece)],
    )


class Zone:
    """All services of the cluster under one domain. `version` changes with every change."""

    def __init__(self, domain: str) -> None:
        self.domain = domain.strip(".").lower()
        self.version = 0
        self.serial = int(time.time())
        self._services: dict[tuple[str, str], Service] = {}
        self._namespaces: set[str] = set()
        self._by_address: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._services)

    def set_namespace(self, name: str, present: bool) -> None:
        """A namespace came or went."""
        (self._namespaces.add if present else self._namespaces.discard)(name)
        self._changed()

    def set_service(self, namespace: str, name: str, service: Service | None) -> None:
        """Take over a service; None when it is gone."""
        old = self._services.pop((namespace, name), None)
        if old is not None:
            self._index(old, False)
        if service is not None:
            self._services[namespace, name] = service
            self._index(service, True)
        self._changed()

    def has_namespace(self, name: str) -> bool:
        """Whether the namespace exists."""
        return name in self._namespaces

    def service(self, namespace: str, name: str) -> Service | None:
        """A service by name."""
        return self._services.get((namespace, name))

    def reverse(self, address: str) -> list[str]:
        """Names of an address: the service whose cluster IP it is, else those of endpoints."""
        return list(self._by_address.get(address, ()))

    def targets(self, service: Service, port: str, protocol: str, label: str) -> list[Target]:
        """Where a name leads; "" for any port, protocol or endpoint."""
        base = f"{service.name}.{service.namespace}.svc.{self.domain}"
        if service.headless or label:
            return [
                Target(endpoint.address, found.number, f"{endpoint.label}.{base}")
                for endpoint in service.endpoints
                if not label or endpoint.label == label
                for found in endpoint.ports
                if _matches(found, port, protocol)
            ]
        return [
            Target(address, found.number, base)
            for found in service.ports
            if _matches(found, port, protocol)
            for address in service.cluster_ips
        ]

    def _index(self, service: Service, present: bool) -> None:
        base = f"{service.name}.{service.namespace}.svc.{self.domain}"
        names = [(address, base) for address in service.cluster_ips]
        names += [(e.address, f"{e.label}.{base}") for e in service.endpoints]
        for address, name in names:
            known = self._by_address.setdefault(address, {})
            if present:
                known[name] = None
            else:
                known.pop(name, None)
            if not known:
                self._by_address.pop(address, None)

    def _changed(self) -> None:
        self.version += 1
        self.serial = int(time.time())


def _matches(found: Port, port: str, protocol: str) -> bool:
    return (not port or found.name.lower() == port) and (not protocol or found.protocol == protocol)


def _ports(ports: list[Object] | None, key: str) -> tuple[Port, ...]:
    return tuple(
        Port(port.get("name") or "", (port.get("protocol") or "TCP").lower(), port[key])
        for port in ports or []
        if port.get(key) is not None
    )


def _endpoints(piece: Object) -> Iterable[Endpoint]:
    # A headless service need not have ports; its endpoints have names and addresses all the same.
    ports = _ports(piece.get("ports"), "port") or (Port("", "", 0),)
    for entry in piece.get("endpoints") or []:
        if (entry.get("conditions") or {}).get("ready") is False:
            continue
        for address in filter(_is_address, entry.get("addresses") or []):
            label = entry.get("hostname") or address.replace(".", "-").replace(":", "-")
            yield Endpoint(address, label.lower(), ports)


def _is_address(text: str) -> bool:
    """Slices may also hold names (addressType FQDN); those have no address record."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def address_of_pod_label(label: str) -> str | None:
    """`10-244-0-7` → `10.244.0.7`; also IPv6 with dashes for colons. None when it is no address."""
    for separator in (".", ":"):
        try:
            return str(ipaddress.ip_address(label.replace("-", separator)))
        except ValueError:
            continue
    return None


def address_of_reverse(name: str) -> str | None:
    """The address that a name under in-addr.arpa or ip6.arpa stands for, None when it is incomplete."""
    try:
        if name.endswith(".in-addr.arpa"):
            parts = name.removesuffix(".in-addr.arpa").split(".")
            return str(ipaddress.IPv4Address(".".join(reversed(parts))))
        if name.endswith(".ip6.arpa"):
            digits = name.removesuffix(".ip6.arpa").split(".")
            if len(digits) != 32:
                return None
            text = "".join(reversed(digits))
            return str(ipaddress.IPv6Address(":".join(text[i : i + 4] for i in range(0, 32, 4))))
    except ValueError:
        return None
    return None
