"""Names outside the cluster: forwarding over real sockets to a small resolver of our own."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dnslib
import pytest
from prometheus_client import CollectorRegistry

from kubeinstall.dns.answer import Authority
from kubeinstall.dns.cache import AnswerCache
from kubeinstall.dns.forward import Forwarder
from kubeinstall.dns.handler import Handler, Metrics
from kubeinstall.dns.resolvers import Resolvers, parse_resolv_conf
from kubeinstall.dns.server import DnsServer
from tests.unit.dns.cluster import make_zone


class Upstream:
    """Answers A questions: `big.*` with 100 addresses (truncated over UDP), `no.*` with NXDOMAIN."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent = False
        self.port = 0

    def answer(self, data: bytes, stream: bool) -> bytes | None:
        question = dnslib.DNSRecord.parse(data)
        name = str(question.q.qname)
        self.asked.append(name)
        if self.silent:
            return None
        reply = question.reply()
        if name.startswith("no."):
            reply.header.rcode = 3
            reply.add_auth(*dnslib.RR.fromZone("test. 9 SOA ns.test. h.test. 1 2 3 4 9"))
        elif name.startswith("big.") and not stream:
            reply.header.tc = 1
        else:
            count = 100 if name.startswith("big.") else 1
            for number in range(count):
                reply.add_answer(dnslib.RR(name, rdata=dnslib.A(f"192.0.2.{number + 1}"), ttl=60))
        return bytes(reply.pack())

    async def start(self, stack: AsyncExitStack) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]
        outer = self

        class Protocol(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                answer = outer.answer(data, False)
                if answer:
                    self.transport.sendto(answer, addr)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            Protocol, local_addr=("127.0.0.1", self.port)
        )
        stack.callback(transport.close)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = self.answer(await reader.readexactly(length), True) or b""
        writer.write(struct.pack("!H", len(answer)) + answer)
        await writer.drain()
        writer.close()


class Bench:
    def __init__(self, upstream: Upstream, forwarder: Forwarder, port: int) -> None:
        self.upstream, self.forwarder, self.port = upstream, forwarder, port

    async def udp(self, name: str, kind: str = "A", seconds: float = 5) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await dns.asyncquery.udp(query, "127.0.0.1", timeout=seconds, port=self.port)

    async def tcp(self, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await dns.asyncquery.tcp(query, "127.0.0.1", timeout=5, port=self.port)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    conf = tmp_path / "resolv.conf"
    conf.write_text("search x\nnameserver 127.0.0.1\n")
    async with AsyncExitStack() as stack:
        upstream = Upstream()
        await upstream.start(stack)
        forwarder = Forwarder(Resolvers(conf, ["10.96.0.10"]), upstream.port)
        stack.callback(forwarder.close)
        handler = Handler(
            Authority(make_zone(), ["10.96.0.10"]),
            forwarder,
            AnswerCache(100),
            Metrics(CollectorRegistry()),
        )
        server = DnsServer(handler.handle)
        yield Bench(upstream, forwarder, await server.listen(stack, "127.0.0.1", 0))


async def test_zone_over_both_transports(bench: Bench) -> None:
    for message in (await bench.udp("web.default.svc.cluster.local"),
                    await bench.tcp("web.default.svc.cluster.local")):  # fmt: skip
        assert str(message.answer[0][0]) == "10.96.0.7"
    assert not bench.upstream.asked


async def test_forwarded_and_remembered_in_any_spelling(bench: Bench) -> None:
    for name in ("a.test", "A.Test", "a.TEST"):
        message = await bench.udp(name)
        assert str(message.answer[0][0]) == "192.0.2.1"
        assert message.answer[0].ttl <= 60
    assert bench.upstream.asked == ["a.test."]


async def test_missing_names_are_remembered_too(bench: Bench) -> None:
    for _ in range(3):
        assert (await bench.udp("no.test")).rcode() == dns.rcode.NXDOMAIN
    assert len(bench.upstream.asked) == 1


async def test_truncation_is_passed_on_and_resolved_over_tcp(bench: Bench) -> None:
    assert (await bench.udp("big.test")).flags & dns.flags.TC
    assert len((await bench.tcp("big.test")).answer[0]) == 100


async def test_an_external_name_brings_its_addresses(bench: Bench) -> None:
    message = await bench.udp("out.default.svc.cluster.local")
    found = {str(item) for rrset in message.answer for item in rrset}
    assert found == {"Example.com.", "192.0.2.1"}


async def test_a_silent_resolver_ends_in_servfail(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeinstall.dns.forward.TIMEOUT", 0.1)
    bench.upstream.silent = True
    assert (await bench.udp("a.test")).rcode() == dns.rcode.SERVFAIL
    assert len(bench.upstream.asked) == 2


async def test_a_circle_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver is ourselves: the question comes back and must not go round again."""
    monkeypatch.setattr("kubeinstall.dns.forward.TIMEOUT", 0.5)
    bench.forwarder._port = bench.port
    message = await bench.udp("round.test")
    assert message.rcode() in (dns.rcode.REFUSED, dns.rcode.SERVFAIL)


async def test_many_at_once_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeinstall.dns.forward.MAX_PENDING", 5)
    monkeypatch.setattr("kubeinstall.dns.forward.TIMEOUT", 0.2)
    bench.upstream.silent = True
    answers = await asyncio.gather(*(bench.udp(f"n{i}.test") for i in range(20)))
    assert {message.rcode() for message in answers} == {dns.rcode.SERVFAIL}
    assert len(bench.upstream.asked) <= 10


def test_resolv_conf(tmp_path: Path) -> None:
    text = "# x\nnameserver 10.96.0.10\nnameserver  1.1.1.1\nnameserver nonsense\nnameserver ::1\n"
    assert parse_resolv_conf(text, frozenset(["10.96.0.10"])) == ["1.1.1.1", "::1"]
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 1.1.1.1\n")
    resolvers = Resolvers(path, ())
    assert resolvers.addresses() == ("1.1.1.1",)
    path.write_text("nameserver 2.2.2.2\n")
    assert resolvers.addresses() == ("1.1.1.1",), "the file is not looked at for every question"
    resolvers._looked = 0.0
    assert resolvers.addresses() == ("2.2.2.2",)
    path.unlink()
    resolvers._looked = 0.0
    assert resolvers.addresses() == ("2.2.2.2",)
