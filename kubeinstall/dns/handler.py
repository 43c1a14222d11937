"""One question in, one answer out: the zone first, else the host's resolvers."""

from __future__ import annotations

import random
import struct
from collections.abc import Awaitable

from prometheus_client import CollectorRegistry, Counter

from kubeinstall.dns import wire
from kubeinstall.dns.answer import Answer, Authority
from kubeinstall.dns.cache import AnswerCache
from kubeinstall.dns.forward import Forwarder
from kubeinstall.dns.wire import Query, Record, WireError

_CODES = {wire.NOERROR: "NOERROR", wire.NXDOMAIN: "NXDOMAIN", wire.SERVFAIL: "SERVFAIL"}


class Metrics:
    """CoreDNS' names, without labels that would cost more than an answer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "coredns_dns_requests", "Questions by who answers them.", ["server"], registry=registry
        )
        self.zone, self.forwarded = requests.labels("zone"), requests.labels("forward")
        self.responses = Counter(
            "coredns_dns_responses", "Answers by code.", ["rcode"], registry=registry
        )
        self.codes = {code: self.responses.labels(name) for code, name in _CODES.items()}
        self.hits = Counter("coredns_cache_hits", "Answers from the cache.", registry=registry)


class Handler:
    """`handle` answers from memory at once, or returns an awaitable for what must be forwarded."""

    def __init__(
        self, authority: Authority, forwarder: Forwarder, cache: AnswerCache, metrics: Metrics
    ) -> None:
        self._authority = authority
        self._forwarder = forwarder
        self._cache = cache
        self._metrics = metrics

    def handle(self, message: bytes, *, stream: bool) -> bytes | Awaitable[bytes] | None:
        """The answer; None when the message deserves none."""
        try:
            query = wire.parse_query(message)
        except WireError:
            return _format_error(message)
        limit = 65535 if stream else min(query.udp_size, wire.OUR_UDP_SIZE)
        if query.opcode:
            return wire.encode_answer(query, wire.NOTIMP, authoritative=False)
        if query.edns and query.version:
            return wire.encode_answer(query, wire.BADVERS, authoritative=False)
        if query.klass not in (wire.IN, wire.ANY_CLASS):
            return wire.encode_answer(query, wire.REFUSED, authoritative=False)
        try:
            answer = self._authority.answer(query.name, query.type)
        except WireError:
            # An ExternalName that is no domain name: the API lets labels pass that DNS does not know.
            self._count(wire.SERVFAIL)
            return wire.encode_answer(query, wire.SERVFAIL, authoritative=False)
        if answer is None:
            return self._outside(query, message, limit, stream)
        self._metrics.zone.inc()
        if answer.chase:
            return self._chase(query, answer, limit)
        self._count(answer.code)
        return _encode(query, answer, limit)

    def _outside(
        self, query: Query, message: bytes, limit: int, stream: bool
    ) -> bytes | Awaitable[bytes]:
        self._metrics.forwarded.inc()
        cached = self._cache.get(query)
        if cached is not None:
            self._metrics.hits.inc()
            return _fitted(query, cached, limit)
        if self._forwarder.is_echo(query):
            return wire.encode_answer(query, wire.REFUSED, authoritative=False)
        return self._forward(query, message, limit, stream)

    async def _forward(self, query: Query, message: bytes, limit: int, stream: bool) -> bytes:
        answer = await self._forwarder.ask(query, message, stream=stream)
        if answer is None:
            self._count(wire.SERVFAIL)
            return wire.encode_answer(query, wire.SERVFAIL, authoritative=False)
        self._count(answer[3] & 0xF)
        self._cache.put(query, answer)
        return _fitted(query, answer, limit)

    async def _chase(self, query: Query, answer: Answer, limit: int) -> bytes:
        """An ExternalName: its alias, and what the alias leads to."""
        records = list(answer.answers)
        target = answer.chase
        found = self._authority.answer(target.lower(), query.type)
        if found is not None:
            for record in found.answers:
                owner = record.name or target.lower()
                records.append(Record(owner, record.type, record.ttl, record.data))
        else:
            records += await self._resolve(query, target)
        self._count(wire.NOERROR)
        return wire.encode_answer(query, wire.NOERROR, records, limit=limit)

    async def _resolve(self, query: Query, target: str) -> list[Record]:
        question = wire.name_bytes(target) + struct.pack("!HH", query.type, wire.IN)
        message = struct.pack("!6H", query.id, wire.RD, 1, 0, 0, 0) + question
        inner = wire.parse_query(message)
        reply = self._cache.get(inner)
        if reply is None:
            if self._forwarder.is_echo(inner):
                return []
            reply = await self._forwarder.ask(inner, message, stream=True)
            if reply is None:
                return []
            self._cache.put(inner, reply)
        try:
            return list(_answers(reply))
        except (WireError, struct.error):
            return []

    def _count(self, code: int) -> None:
        counter = self._metrics.codes.get(code)
        (counter or self._metrics.responses.labels(str(code))).inc()


def _encode(query: Query, answer: Answer, limit: int) -> bytes:
    records = answer.answers
    if len(records) > 1:
        # Who takes only the first address shall not always take the same.
        records = tuple(random.sample(records, len(records)))
    return wire.encode_answer(
        query, answer.code, records, answer.authority, answer.additional, limit=limit
    )


def _fitted(query: Query, message: bytes, limit: int) -> bytes:
    """A forwarded answer, or its header with TC when it is too long for the client."""
    if len(message) <= limit:
        return message
    flags = int.from_bytes(message[2:4], "big") | wire.TC
    return message[:2] + struct.pack("!5H", flags, 1, 0, 0, 0) + query.question


def _answers(message: bytes) -> list[Record]:
    """The answer section, names written out so that they stand on their own."""
    questions, count = struct.unpack_from("!HH", message, 4)
    offset = 12
    for _ in range(questions):
        _, offset = wire.read_name(message, offset)
        offset += 4
    found: list[Record] = []
    for _ in range(count):
        name, offset = wire.read_name(message, offset)
        kind, _, ttl, length = struct.unpack_from("!HHIH", message, offset)
        offset += 10
        data = message[offset : offset + length]
        if kind == wire.CNAME:
            data = wire.name_bytes(wire.read_name(message, offset)[0])
        if kind in (wire.A, wire.AAAA, wire.CNAME):
            found.append(Record(name, kind, ttl, data))
        offset += length
    return found


def _format_error(message: bytes) -> bytes | None:
    """FORMERR for what looks like a query; silence for answers and noise."""
    if len(message) < 12 or message[2] & 0x80:
        return None
    flags = wire.QR | (int.from_bytes(message[2:4], "big") & 0x7900) | wire.FORMERR
    return message[:2] + struct.pack("!5H", flags, 0, 0, 0, 0)
