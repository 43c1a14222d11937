"""Answers questions about the cluster's zone; other names are not ours (None)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kubeinstall.dns import wire
from kubeinstall.dns.wire import Record
from kubeinstall.dns.zone import (
    SPEC_VERSION,
    Service,
    Target,
    Zone,
    address_of_pod_label,
    address_of_reverse,
)

_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of an answer. `chase` is a name outside the zone whose addresses belong to it too."""

    code: int = wire.NOERROR
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    chase: str = ""


class Authority:
    """The authoritative side. Answers are kept until the zone changes, at most `_KEPT` of them."""

    def __init__(self, zone: Zone, addresses: Sequence[str], ttl: int = 30) -> None:
        self._zone = zone
        self._addresses = tuple(addresses)
        self._ttl = ttl
        self._kept: OrderedDict[tuple[str, int], Answer | None] = OrderedDict()
        self._version = -1
        self._suffix = f".{zone.domain}"

    def answer(self, name: str, kind: int) -> Answer | None:
        """The answer for a name in lower case, None when somebody else must be asked."""
        if self._version != self._zone.version:
            self._kept.clear()
            self._version = self._zone.version
        key = (name, kind)
        try:
            return self._kept[key]
        except KeyError:
            found = self._find(name, kind)
        self._kept[key] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def _find(self, name: str, kind: int) -> Answer | None:
        if name == self._zone.domain:
            return self._apex(kind)
        if name.endswith(self._suffix):
            return self._inside(name.removesuffix(self._suffix), kind)
        if name.endswith((".in-addr.arpa", ".ip6.arpa")):
            return self._reverse(name, kind)
        return None

    def _apex(self, kind: int) -> Answer:
        domain, ttl = self._zone.domain, self._ttl
        if kind == wire.SOA:
            return Answer(answers=(self._soa(),))
        if kind == wire.NS:
            glue = self._server(f"ns.dns.{domain}")
            return Answer(
                answers=(wire.name_record(wire.NS, f"ns.dns.{domain}", ttl),), additional=glue
            )
        return self._nothing()

    def _inside(self, rest: str, kind: int) -> Answer:
        labels = rest.split(".")
        if rest == "dns-version":
            if kind not in (wire.TXT, wire.ANY):
                return self._nothing()
            return Answer(answers=(wire.text_record(SPEC_VERSION, self._ttl),))
        if rest == "ns.dns":
            return self._of_kind(kind, self._server(""))
        if rest == "dns":
            return self._nothing()
        root = labels.pop()
        if root not in ("svc", "pod"):
            return self._missing()
        if not labels:
            return self._nothing()
        namespace = labels.pop()
        if not self._zone.has_namespace(namespace):
            return self._missing()
        if not labels:
            return self._nothing()
        if root == "pod":
            return self._pod(labels, kind)
        return self._service(namespace, labels, kind)

    def _pod(self, labels: list[str], kind: int) -> Answer:
        address = address_of_pod_label(labels[0]) if len(labels) == 1 else None
        if address is None:
            return self._missing()
        return self._of_kind(kind, (wire.address_record(address, self._ttl),))

    def _service(self, namespace: str, labels: list[str], kind: int) -> Answer:
        service = self._zone.service(namespace, labels.pop())
        if service is None or len(labels) > 2:
            return self._missing()
        port = protocol = endpoint = ""
        if len(labels) == 2:
            port, protocol = labels[0].removeprefix("_"), labels[1].removeprefix("_")
        elif labels:
            endpoint = labels[0]
        if service.external:
            return self._external(service, kind, bool(labels))
        targets = self._zone.targets(service, port, protocol, endpoint)
        if not targets:
            return self._missing()
        if kind == wire.SRV:
            return self._srv(targets)
        addresses = dict.fromkeys(target.address for target in targets)
        return self._of_kind(kind, [wire.address_record(a, self._ttl) for a in addresses])

    def _external(self, service: Service, kind: int, below: bool) -> Answer:
        if below:
            return self._missing()
        record = wire.name_record(wire.CNAME, service.external, self._ttl)
        wants_more = kind in (wire.A, wire.AAAA)
        return Answer(answers=(record,), chase=service.external if wants_more else "")

    def _srv(self, targets: list[Target]) -> Answer:
        places = list(dict.fromkeys((target.name, target.port) for target in targets))
        weight = max(1, 100 // len(places))
        addresses = dict.fromkeys((target.address, target.name) for target in targets)
        return Answer(
            answers=tuple(wire.srv_record(weight, port, name, self._ttl) for name, port in places),
            additional=tuple(wire.address_record(a, self._ttl, name) for a, name in addresses),
        )

    def _reverse(self, name: str, kind: int) -> Answer | None:
        address = address_of_reverse(name)
        names = self._zone.reverse(address) if address else []
        if not names:
            return None
        if kind not in (wire.PTR, wire.ANY):
            return self._nothing()
        return Answer(answers=tuple(wire.name_record(wire.PTR, n, self._ttl) for n in names))

    def _of_kind(self, kind: int, records: Sequence[Record]) -> Answer:
        chosen = tuple(r for r in records if kind in (r.type, wire.ANY))
        return Answer(answers=chosen) if chosen else self._nothing()

    def _server(self, name: str) -> tuple[Record, ...]:
        return tuple(wire.address_record(a, self._ttl, name) for a in self._addresses)

    def _soa(self) -> Record:
        return wire.soa_record(self._zone.domain, self._zone.serial, self._ttl)

    def _nothing(self) -> Answer:
        """The name exists, the type does not."""
        return Answer(authority=(self._soa(),))

    def _missing(self) -> Answer:
        """There is no such name."""
        return Answer(wire.NXDOMAIN, authority=(self._soa(),))
