"""What names of the cluster lead to, read by another library than the one that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from prometheus_client import CollectorRegistry

from kubeinstall.dns.answer import Authority
from kubeinstall.dns.cache import AnswerCache
from kubeinstall.dns.forward import Forwarder
from kubeinstall.dns.handler import Handler, Metrics
from kubeinstall.dns.resolvers import Resolvers
from tests.unit.dns.cluster import make_zone


@pytest.fixture
def handler(tmp_path: Path) -> Handler:
    resolvers = Resolvers(tmp_path / "absent", ())
    return Handler(
        Authority(make_zone(), ["10.96.0.10"]),
        Forwarder(resolvers),
        AnswerCache(),
        Metrics(CollectorRegistry()),
    )


async def _awaited(answer: Awaitable[bytes]) -> bytes:
    return await answer


def ask(
    handler: Handler, name: str, kind: str = "A", *, stream: bool = False, payload: int = 0
) -> dns.message.Message:
    query = dns.message.make_query(
        name, kind, use_edns=0 if payload else -1, payload=payload or 512
    )
    answer = handler.handle(query.to_wire(), stream=stream)
    assert answer is not None
    if not isinstance(answer, bytes):
        answer = asyncio.run(_awaited(answer))
    parsed = dns.message.from_wire(answer)
    assert query.is_response(parsed)
    return parsed


def texts(message: dns.message.Message, section: str = "answer") -> set[str]:
    return {
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {item}"
        for rrset in getattr(message, section)
        for item in rrset
    }


WEB = "web.default.svc.cluster.local."
DB = "db.default.svc.cluster.local."


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        (WEB, "A", {f"{WEB} A 10.96.0.7"}),
        (WEB.upper(), "A", {f"{WEB.upper()} A 10.96.0.7"}),
        (WEB, "AAAA", {f"{WEB} AAAA fd00::7"}),
        (f"_http._tcp.{WEB}", "SRV", {f"_http._tcp.{WEB} SRV 0 100 80 {WEB}"}),
        (f"_dns._udp.{WEB}", "SRV", {f"_dns._udp.{WEB} SRV 0 100 53 {WEB}"}),
        (WEB, "SRV", {f"{WEB} SRV 0 50 80 {WEB}", f"{WEB} SRV 0 50 53 {WEB}"}),
        (f"10-244-0-5.{WEB}", "A", {f"10-244-0-5.{WEB} A 10.244.0.5"}),
        (DB, "A", {f"{DB} A 10.244.0.6", f"{DB} A 10.244.0.7"}),
        (DB, "AAAA", {f"{DB} AAAA fd00::6"}),
        (f"db-0.{DB}", "A", {f"db-0.{DB} A 10.244.0.6"}),
        (
            f"_http._tcp.{DB}",
            "SRV",
            {
                f"_http._tcp.{DB} SRV 0 33 5432 db-0.{DB}",
                f"_http._tcp.{DB} SRV 0 33 5432 10-244-0-7.{DB}",
                f"_http._tcp.{DB} SRV 0 33 80 db-0.{DB}",
            },
        ),
        ("portless.default.svc.cluster.local.", "A",
         {"portless.default.svc.cluster.local. A 10.244.0.9"}),
        ("10-1-2-3.default.pod.cluster.local.", "A", {"10-1-2-3.default.pod.cluster.local. A 10.1.2.3"}),
        ("out.default.svc.cluster.local.", "CNAME",
         {"out.default.svc.cluster.local. CNAME Example.com."}),
        ("alias.default.svc.cluster.local.", "A",
         {f"alias.default.svc.cluster.local. CNAME {WEB}", f"{WEB} A 10.96.0.7"}),
        ("7.0.96.10.in-addr.arpa.", "PTR", {f"7.0.96.10.in-addr.arpa. PTR {WEB}"}),
        ("6.0.244.10.in-addr.arpa.", "PTR",
         {f"6.0.244.10.in-addr.arpa. PTR db-0.{DB}",
          "6.0.244.10.in-addr.arpa. PTR 10-244-0-6.many.default.svc.cluster.local."}),
        ("dns-version.cluster.local.", "TXT", {'dns-version.cluster.local. TXT "1.1.0"'}),
        ("cluster.local.", "NS", {"cluster.local. NS ns.dns.cluster.local."}),
        ("ns.dns.cluster.local.", "A", {"ns.dns.cluster.local. A 10.96.0.10"}),
    ],
)  # fmt: skip
def test_answers(handler: Handler, name: str, kind: str, expected: set[str]) -> None:
    message = ask(handler, name, kind)
    assert message.rcode() == dns.rcode.NOERROR
    assert message.flags & dns.flags.AA
    assert texts(message) == expected


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        (WEB, "MX", "NOERROR"),
        ("cluster.local.", "A", "NOERROR"),
        ("svc.cluster.local.", "A", "NOERROR"),
        ("empty.svc.cluster.local.", "A", "NOERROR"),
        ("7.0.96.10.in-addr.arpa.", "A", "NOERROR"),
        ("nobody.default.svc.cluster.local.", "A", "NXDOMAIN"),
        ("web.nowhere.svc.cluster.local.", "A", "NXDOMAIN"),
        ("nowhere.svc.cluster.local.", "A", "NXDOMAIN"),
        ("void.default.svc.cluster.local.", "A", "NXDOMAIN"),
        ("named.default.svc.cluster.local.", "A", "NXDOMAIN"),
        (f"_no._tcp.{WEB}", "SRV", "NXDOMAIN"),
        (f"_http._udp.{WEB}", "SRV", "NXDOMAIN"),
        (f"db-9.{DB}", "A", "NXDOMAIN"),
        ("10-1-2-3.nowhere.pod.cluster.local.", "A", "NXDOMAIN"),
        ("not-an-address.default.pod.cluster.local.", "A", "NXDOMAIN"),
        ("what.cluster.local.", "A", "NXDOMAIN"),
    ],
)
def test_what_is_not_there_says_so_with_a_soa(
    handler: Handler, name: str, kind: str, code: str
) -> None:
    message = ask(handler, name, kind)
    assert dns.rcode.to_text(message.rcode()) == code
    assert not message.answer
    (rrset,) = message.authority
    assert (str(rrset.name), rrset.ttl) == ("cluster.local.", 30)
    assert str(rrset[0]).startswith("ns.dns.cluster.local. hostmaster.cluster.local. ")
    assert str(rrset[0]).endswith(" 7200 1800 86400 30")


def test_addresses_of_srv_targets_come_along(handler: Handler) -> None:
    message = ask(handler, f"_http._tcp.{DB}", "SRV")
    assert texts(message, "additional") == {
        f"db-0.{DB} A 10.244.0.6", f"10-244-0-7.{DB} A 10.244.0.7", f"db-0.{DB} AAAA fd00::6",
    }  # fmt: skip


def test_long_answers_are_cut_over_udp_only(handler: Handler) -> None:
    name = "many.default.svc.cluster.local."
    short = ask(handler, name)
    assert short.flags & dns.flags.TC
    assert len(short.to_wire()) <= 512
    longer = ask(handler, name, payload=1232)
    assert longer.flags & dns.flags.TC
    assert len(texts(longer)) > len(texts(short)) > 10
    whole = ask(handler, name, stream=True)
    assert not whole.flags & dns.flags.TC
    assert len(texts(whole)) == 600


def test_order_changes_between_answers(handler: Handler) -> None:
    first = {str(ask(handler, DB).answer[0][0]) for _ in range(40)}
    assert len(first) == 2


def test_edns_is_answered_with_edns(handler: Handler) -> None:
    assert ask(handler, WEB, payload=4096).edns == 0
    assert ask(handler, WEB).edns == -1
    query = dns.message.make_query(WEB, "A", use_edns=1)
    answer = handler.handle(query.to_wire(), stream=False)
    assert isinstance(answer, bytes)
    assert dns.message.from_wire(answer).rcode() == dns.rcode.BADVERS


def test_an_external_name_that_is_no_name(handler: Handler) -> None:
    name = "wrong.default.svc.cluster.local."
    assert ask(handler, name, "CNAME").rcode() == dns.rcode.SERVFAIL


def test_without_resolvers_other_names_fail(handler: Handler) -> None:
    assert ask(handler, "example.com.").rcode() == dns.rcode.SERVFAIL


def test_nonsense(handler: Handler) -> None:
    query = dns.message.make_query(WEB, "A").to_wire()
    assert handler.handle(query[:15], stream=False) is not None
    assert handler.handle(b"", stream=False) is None
    answer = handler.handle(query, stream=False)
    assert isinstance(answer, bytes)
    assert handler.handle(answer, stream=False) is None, "an answer is not answered"
    loop = query[:12] + b"\xc0\x0c" + query[-4:]
    broken = handler.handle(loop, stream=False)
    assert isinstance(broken, bytes)
    assert broken[3] & 0xF == 1


def test_the_zone_changes_at_once(handler: Handler) -> None:
    zone = handler._authority._zone
    assert texts(ask(handler, WEB))
    zone.set_service("default", "web", None)
    assert ask(handler, WEB).rcode() == dns.rcode.NXDOMAIN
    zone.set_namespace("default", False)
    assert ask(handler, DB).rcode() == dns.rcode.NXDOMAIN
