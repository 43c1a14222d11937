"""Service proxy in the kernel and cluster DNS over loopback.

python -m benchmarks.network            # 10,000 services; needs root for a network namespace of its own
python -m benchmarks.network --quick    # 1,000 services
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import uvloop
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table as Figures

from kubeinstall.dns import wire
from kubeinstall.dns.answer import Authority
from kubeinstall.dns.cache import AnswerCache
from kubeinstall.dns.forward import Forwarder
from kubeinstall.dns.handler import Handler, Metrics
from kubeinstall.dns.resolvers import Resolvers
from kubeinstall.dns.server import DnsServer
from kubeinstall.proxy.chains import IPV4, Masquerading
from kubeinstall.proxy.conntrack import Conntrack
from kubeinstall.proxy.healthcheck import HealthCheckServers
from kubeinstall.proxy.syncer import Known, Place, Syncer
from kubeinstall.proxy.table import Table
from kubeinstall.runtime.nftables import Nftables
from tests.unit.dns.cluster import make_zone

Rows = list[tuple[str, str]]
_WINDOW = 64  # DNS questions under way


def _service(number: int, endpoints: int = 3) -> Known:
    high, low = divmod(number, 250)
    service = {
        "metadata": {"name": f"s{number}", "namespace": "default"},
        "spec": {"clusterIP": f"10.97.{high}.{low + 1}", "ports": [{"port": 80}]},
    }
    piece = {
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [f"10.{200 + i}.{high}.{low + 1}"], "conditions": {"ready": True}}
            for i in range(endpoints)
        ],
    }
    return Known(service, [piece])


async def proxy(namespace: str, services: int) -> Rows:
    """Loading all services, and changing one."""
    nftables = Nftables(f"/run/netns/{namespace}")
    table = Table(nftables, IPV4)
    syncer = Syncer(
        {"ip": table},
        {"ip": Masquerading("10.0.0.0/8")},
        Conntrack(),
        HealthCheckServers(lambda: True),
    )
    everything = {f"default/s{number}": _service(number) for number in range(services)}
    place = Place("here")
    started = time.perf_counter()
    await syncer.sync(everything, place)
    load = time.perf_counter() - started
    changes = []
    for number in range(20):
        started = time.perf_counter()
        await syncer.sync({"default/s1": _service(1, 1 + number % 5)}, place)
        changes.append(time.perf_counter() - started)
    await nftables.close()
    median = sorted(changes)[len(changes) // 2]
    return [
        (f"load {services:,} services of 3 endpoints", f"{load:.2f} s"),
        ("one change, median", f"{median * 1000:.1f} ms"),
        ("the first change after loading", f"{changes[0] * 1000:.0f} ms"),
    ]


class _Asker(asyncio.DatagramProtocol):
    """Keeps a window of questions under way."""

    def __init__(self, question: bytes) -> None:
        self.question = question
        self.answers = 0
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        for _ in range(_WINDOW):
            self.transport.sendto(self.question)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers += 1
        if self.transport is not None:
            self.transport.sendto(self.question)


async def dns(seconds: float = 3.0) -> Rows:
    """Questions a second over UDP; the asker shares the process, so half of it is not the server's."""
    handler = Handler(
        Authority(make_zone(), ["127.0.0.1"]),
        Forwarder(Resolvers(Path("/dev/null"), ())),
        AnswerCache(),
        Metrics(CollectorRegistry()),
    )
    name = wire.name_bytes("web.default.svc.cluster.local")
    question = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + name + b"\0\x01\0\x01"
    rounds = 50_000
    started = time.perf_counter()
    for _ in range(rounds):
        handler.handle(question, stream=False)
    each = (time.perf_counter() - started) / rounds
    async with AsyncExitStack() as stack:
        port = await DnsServer(handler.handle).listen(stack, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        transport, asker = await loop.create_datagram_endpoint(
            lambda: _Asker(question), remote_addr=("127.0.0.1", port)
        )
        stack.callback(transport.close)
        await asyncio.sleep(seconds)
        answers = asker.answers
    return [
        ("DNS answer, without sockets", f"{each * 1e6:.1f} µs"),
        ("DNS over UDP, asker in the same process", f"{answers / seconds:,.0f}/s"),
    ]


async def run(namespace: str, services: int) -> Rows:
    """Everything."""
    rows = await proxy(namespace, services)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(("memory, objects and benchmark included", f"{memory:.0f} MB"))
    return rows + await dns()


def main() -> None:
    """Run in a namespace of our own and print the table."""
    namespace = f"bench{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        rows = uvloop.run(run(namespace, 1000 if "--quick" in sys.argv else 10_000))
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)
    figures = Figures("work", "measured", title="Service proxy and cluster DNS")
    for row in rows:
        figures.add_row(*row)
    Console().print(figures)


if __name__ == "__main__":
    main()
