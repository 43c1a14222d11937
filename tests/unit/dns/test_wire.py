"""The codec against dnslib and dnspython, on ordinary and on random messages."""

from __future__ import annotations

import contextlib

import dnslib
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeinstall.dns import wire

LABEL = st.text("abcxyz0189_-", min_size=1, max_size=20)
NAME = st.lists(LABEL, min_size=1, max_size=6).map(".".join)


@settings(deadline=None)
@given(NAME, st.sampled_from([1, 12, 16, 28, 33]), st.integers(0, 65535))
def test_questions_are_read_as_dnslib_writes_them(name: str, kind: int, number: int) -> None:
    question = dnslib.DNSRecord(
        dnslib.DNSHeader(id=number, qr=0, rd=1), q=dnslib.DNSQuestion(name, kind)
    )
    query = wire.parse_query(question.pack())
    assert (query.id, query.name, query.type) == (number, name, kind)


@settings(deadline=None)
@given(NAME, st.lists(st.tuples(NAME, st.ip_addresses(v=4)), max_size=20))
def test_answers_are_read_by_dnslib(name: str, records: list[tuple[str, object]]) -> None:
    query = wire.parse_query(dnslib.DNSRecord.question(name).pack())
    answers = [wire.address_record(str(address), 7, owner) for owner, address in records]
    answers.append(wire.srv_record(1, 80, name, 7))
    message = wire.encode_answer(query, 0, answers, [wire.soa_record("cluster.local", 1, 5)])
    parsed = dnslib.DNSRecord.parse(message)
    found = [(str(r.rname).rstrip("."), str(r.rdata)) for r in parsed.rr[:-1]]
    assert found == [(owner, str(address)) for owner, address in records]
    assert str(parsed.rr[-1].rdata.target).rstrip(".") == name
    assert str(parsed.auth[0].rname) == "cluster.local."


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.parse_query(data)


def test_ttls_of_other_servers_answers() -> None:
    question = dnslib.DNSRecord.question("a.example.")
    reply = question.reply()
    reply.add_answer(*dnslib.RR.fromZone("a.example. 60 CNAME b.example.\nb.example. 20 A 1.2.3.4"))
    offsets, smallest, negative = wire.ttl_offsets(reply.pack())
    assert (len(offsets), smallest, negative) == (2, 20, 0)
    denied = question.reply()
    denied.header.rcode = 3
    denied.add_auth(*dnslib.RR.fromZone("example. 100 SOA ns.example. h.example. 1 2 3 4 50"))
    assert wire.ttl_offsets(denied.pack())[2] == 50
