"""The service proxy in a real kernel: packets, not rules, are what is asserted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from shutil import which
from typing import Any

import pytest

from kubeinstall.proxy.chains import IPV4, IPV6, Masquerading
from kubeinstall.proxy.conntrack import Conntrack
from kubeinstall.proxy.healthcheck import HealthCheckServers
from kubeinstall.proxy.syncer import Known, Place, Syncer
from kubeinstall.proxy.table import Table
from kubeinstall.runtime.nftables import Nftables
from tests.network.world import World

pytestmark = pytest.mark.host

VIP = "10.96.7.7"


class Bench:
    """A syncer over the node's namespace with shorthands for objects."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nftables = Nftables(world.node_path)
        self.table = Table(self.nftables, IPV4)
        self.syncer = Syncer(
            {"ip": self.table},
            {"ip": Masquerading("10.244.0.0/16")},
            Conntrack(("ip", "netns", "exec", world.node)),
            HealthCheckServers(lambda: True),
        )

    async def set(self, endpoints: list[dict[str, Any]] | None, **spec: Any) -> None:
        """Program service default/web with `endpoints`; None removes it."""
        await self.syncer.sync({"default/web": self.known(endpoints, **spec)}, Place("here"))

    def known(self, endpoints: list[dict[str, Any]] | None, **spec: Any) -> Known:
        if endpoints is None:
            return Known(None)
        ports = [
            {"name": "t", "port": 80, "protocol": "TCP", "nodePort": spec.pop("tcp_node_port", 0)},
            {"name": "u", "port": 80, "protocol": "UDP"},
        ]
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": "NodePort", "clusterIP": VIP, "ports": ports, **spec},
            "status": {"loadBalancer": spec.pop("balancer", {})},
        }
        piece = {
            "metadata": {"name": "web-1", "namespace": "default"},
            "addressType": "IPv4",
            "ports": [
                {"name": "t", "port": 8080, "protocol": "TCP"},
                {"name": "u", "port": 8080, "protocol": "UDP"},
            ],
            "endpoints": endpoints,
        }
        return Known(service, [piece])

    def ask(
        self, who: str, protocol: str, address: str, port: int, times: int = 1, source: int = 0
    ) -> list[tuple[str, str]]:
        return self.world.ask(who, protocol, address, port, times, source)


def endpoint(address: str, node: str = "here", **conditions: Any) -> dict[str, Any]:
    return {
        "addresses": [address],
        "nodeName": node,
        "conditions": {"ready": True, **conditions},
    }


@pytest.fixture
async def bench(world: World) -> AsyncIterator[Bench]:
    made = Bench(world)
    try:
        yield made
    finally:
        await made.table.delete()
        await made.nftables.close()


def everyone() -> list[dict[str, Any]]:
    return [endpoint(address) for address in World.pods]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_traffic_from_node_and_outside_spreads_over_all_endpoints(
    bench: Bench, protocol: str
) -> None:
    await bench.set(everyone())
    for who in (bench.world.node, bench.world.client):
        answers = Counter(name for name, _ in bench.ask(who, protocol, VIP, 80, 90))
        assert set(answers) == {"a", "b", "c"}
        assert min(answers.values()) > 10


async def test_pods_keep_their_address_and_others_are_masqueraded(bench: Bench) -> None:
    await bench.set([endpoint(World.pods[0])])
    assert bench.ask(bench.world.pod_names[1], "tcp", VIP, 80) == [("a", World.pods[1])]
    assert bench.ask(bench.world.client, "tcp", VIP, 80) == [("a", "10.244.0.1")]


async def test_a_pod_reaches_itself_through_its_service(bench: Bench) -> None:
    await bench.set([endpoint(World.pods[0])])
    for protocol in ("tcp", "udp"):
        answers = bench.ask(bench.world.pod_names[0], protocol, VIP, 80, 3)
        assert answers == [("a", "10.244.0.1")] * 3


async def test_node_port(bench: Bench) -> None:
    await bench.set(everyone(), tcp_node_port=30080)
    answers = bench.ask(bench.world.client, "tcp", World.node_ip, 30080, 60)
    assert Counter(name for name, _ in answers).keys() == {"a", "b", "c"}
    assert {address for _, address in answers} == {"10.244.0.1"}
    assert bench.ask(bench.world.pod_names[0], "tcp", "10.244.0.1", 30080)[0][0] in "abc"


async def test_node_port_with_local_policy_keeps_the_client_address(bench: Bench) -> None:
    endpoints = [endpoint(World.pods[0]), endpoint(World.pods[1], node="elsewhere")]
    await bench.set(endpoints, tcp_node_port=30080, externalTrafficPolicy="Local")
    answers = bench.ask(bench.world.client, "tcp", World.node_ip, 30080, 20)
    assert set(answers) == {("a", "192.0.2.2")}
    # Pods are not outsiders: they may reach all endpoints.
    inside = bench.ask(bench.world.pod_names[2], "tcp", World.node_ip, 30080, 40)
    assert {name for name, _ in inside} == {"a", "b"}


async def test_local_policy_without_local_endpoints_drops(bench: Bench) -> None:
    endpoints = [endpoint(World.pods[1], node="elsewhere")]
    await bench.set(endpoints, tcp_node_port=30080, externalTrafficPolicy="Local")
    assert bench.ask(bench.world.client, "tcp", World.node_ip, 30080) == [("", "timeout")]
    assert bench.ask(bench.world.pod_names[2], "tcp", World.node_ip, 30080)[0][0] == "b"
    await bench.set(endpoints, internalTrafficPolicy="Local")
    assert bench.ask(bench.world.pod_names[2], "tcp", VIP, 80) == [("", "timeout")]


async def test_external_and_load_balancer_addresses(bench: Bench) -> None:
    await bench.set(
        everyone(),
        type="LoadBalancer",
        externalIPs=["198.51.100.9"],
        loadBalancerSourceRanges=["203.0.113.0/24"],
        balancer={"ingress": [{"ip": "198.51.100.10"}, {"ip": "198.51.100.11", "ipMode": "Proxy"}]},
    )
    client = bench.world.client
    assert bench.ask(client, "tcp", "198.51.100.9", 80)[0][0] in "abc"
    assert bench.ask(client, "tcp", "198.51.100.10", 80) == [("", "timeout")]
    await bench.set(
        everyone(),
        type="LoadBalancer",
        loadBalancerSourceRanges=["192.0.2.0/24", "192.0.2.128/25"],
        balancer={"ingress": [{"ip": "198.51.100.10"}]},
    )
    assert bench.ask(client, "tcp", "198.51.100.10", 80)[0][0] in "abc"


async def test_without_endpoints_connections_are_refused_at_once(bench: Bench) -> None:
    await bench.set([], tcp_node_port=30080)
    for who in (bench.world.node, bench.world.client, bench.world.pod_names[0]):
        for protocol in ("tcp", "udp"):
            assert bench.ask(who, protocol, VIP, 80) == [("", "refused")], (who, protocol)
    assert bench.ask(bench.world.client, "tcp", World.node_ip, 30080) == [("", "refused")]
    await bench.set(everyone())
    assert bench.ask(bench.world.client, "tcp", VIP, 81) == [("", "refused")]
    assert bench.ask(bench.world.node, "tcp", VIP, 81) == [("", "refused")]


async def test_affinity_lasts_until_its_timeout_and_its_endpoint(bench: Bench) -> None:
    def sticky(seconds: int) -> dict[str, Any]:
        config = {"clientIP": {"timeoutSeconds": seconds}}
        return {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}

    client = bench.world.client
    await bench.set(everyone(), tcp_node_port=30080, **sticky(60))
    first = {name for name, _ in bench.ask(client, "tcp", VIP, 80, 30)}
    assert len(first) == 1
    assert len({name for name, _ in bench.ask(client, "tcp", World.node_ip, 30080, 30)}) == 1
    assert len({name for name, _ in bench.ask(bench.world.pod_names[0], "tcp", VIP, 80, 30)}) == 1
    # A rebuild of the table keeps the choice.
    bench.syncer.doubt()
    await bench.set(everyone(), tcp_node_port=30080, **sticky(60))
    assert {name for name, _ in bench.ask(client, "tcp", VIP, 80, 30)} == first
    # The chosen endpoint goes: another one takes over and stays.
    left = [e for e, n in zip(everyone(), "abc", strict=True) if {n} != first]
    await bench.set(left, tcp_node_port=30080, **sticky(1))
    second = {name for name, _ in bench.ask(client, "tcp", VIP, 80, 30)}
    assert len(second) == 1
    assert second != first
    seen = set(second)
    for _ in range(12):
        await asyncio.sleep(1.1)
        seen |= {name for name, _ in bench.ask(client, "tcp", VIP, 80)}
        if len(seen) == 2:
            break
    assert len(seen) == 2
    await bench.set(everyone())
    assert len({name for name, _ in bench.ask(client, "tcp", VIP, 80, 40)}) == 3


async def test_endpoints_change_and_the_service_goes(bench: Bench) -> None:
    client = bench.world.client
    await bench.set([endpoint(World.pods[0])])
    assert bench.ask(client, "tcp", VIP, 80)[0][0] == "a"
    await bench.set([endpoint(World.pods[1]), endpoint(World.pods[2])])
    assert {name for name, _ in bench.ask(client, "tcp", VIP, 80, 40)} == {"b", "c"}
    assert bench.table.rebuilds == 1, "endpoints that come and go change elements only"
    ready = endpoint(World.pods[0], ready=False, serving=True, terminating=True)
    gone = endpoint(World.pods[1], ready=False, serving=False, terminating=True)
    await bench.set([ready, gone])
    assert {name for name, _ in bench.ask(client, "tcp", VIP, 80, 10)} == {"a"}
    await bench.set(None)
    assert bench.table.rebuilds == 1
    listed = await bench.nftables.query("list map ip kube-proxy endpoints")
    assert not [entry for entry in listed if entry.get("map", {}).get("elem")]
    hairpin = await bench.nftables.query("list set ip kube-proxy hairpin")
    assert not [entry for entry in hairpin if entry.get("set", {}).get("elem")]


async def test_a_udp_flow_follows_the_endpoints(bench: Bench) -> None:
    if which("conntrack") is None:
        pytest.skip("needs the package conntrack")
    client = bench.world.client
    await bench.set([endpoint(World.pods[0])])
    assert bench.ask(client, "udp", VIP, 80, 2, source=4001)[1][0] == "a"
    await bench.set([endpoint(World.pods[1])])
    assert bench.ask(client, "udp", VIP, 80, 2, source=4001)[1][0] == "b"


async def test_a_flushed_ruleset_is_rebuilt(bench: Bench) -> None:
    await bench.set(everyone())
    await bench.nftables.run("flush ruleset")
    await bench.set([endpoint(World.pods[0])])
    assert bench.ask(bench.world.client, "tcp", VIP, 80)[0][0] == "a"


async def test_one_change_among_many_services_is_quick(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    many: dict[str, Known] = {}
    for number in range(2000):
        known = bench.known([endpoint(f"10.245.{number // 250}.{i + 1}") for i in range(3)])
        assert known.service is not None
        known.service["metadata"]["name"] = f"s{number}"
        known.service["spec"]["clusterIP"] = f"10.97.{number // 250}.{number % 250 + 1}"
        many[f"default/s{number}"] = known
    started = loop.time()
    await bench.syncer.sync(many, Place("here"))
    load = loop.time() - started
    await bench.set(everyone())
    started = loop.time()
    await bench.set([endpoint(World.pods[0])])
    change = loop.time() - started
    assert bench.ask(bench.world.client, "tcp", VIP, 80)[0][0] == "a"
    # Wide margins: this is to catch a cost that grows with the number of services.
    assert load < 10
    assert change < 0.5
    print(f"2000 services: load {load:.3f} s, one change {change * 1000:.1f} ms")


async def test_ipv6(world: World) -> None:
    nftables = Nftables(world.node_path)
    table = Table(nftables, IPV6)
    syncer = Syncer(
        {"ip6": table},
        {"ip6": Masquerading("fd00:244::/64")},
        Conntrack(("ip", "netns", "exec", world.node)),
        HealthCheckServers(lambda: True),
    )
    address = "fd00:96::7"

    async def program(endpoints: list[str], **spec: Any) -> None:
        ports = [
            {"name": "t", "port": 80, "protocol": "TCP", "nodePort": 30080},
            {"name": "u", "port": 80, "protocol": "UDP"},
        ]
        service = {
            "metadata": {"name": "six", "namespace": "default"},
            "spec": {"type": "NodePort", "clusterIP": address, "ports": ports, **spec},
        }
        piece = {
            "addressType": "IPv6",
            "ports": [{"name": "t", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint(e) for e in endpoints],
        }
        await syncer.sync({"default/six": Known(service, [piece])}, Place("here"))

    def names(who: str, target: str, port: int, times: int) -> set[str]:
        return {name or reason for name, reason in world.ask(who, "tcp", target, port, times)}

    try:
        await program([])
        # Over UDP: Linux notices an ICMPv6 error for its first SYN only at the second, a second later.
        assert world.ask(world.client, "udp", address, 80) == [("", "refused")]
        await program(list(World.pods6))
        assert names(world.client, address, 80, 60) == {"a", "b", "c"}
        assert names(world.client, "fd00:192::1", 30080, 60) == {"a", "b", "c"}
        assert names(world.node, address, 80, 60) == {"a", "b", "c"}
        await program(list(World.pods6), sessionAffinity="ClientIP")
        assert len(names(world.client, address, 80, 30)) == 1
        await program([World.pods6[0]])
        assert names(world.pod_names[0], address, 80, 3) == {"a"}, "hairpin"
    finally:
        await table.delete()
        await nftables.close()
