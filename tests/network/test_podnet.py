"""Pod network in a real kernel: policies by packets, routes between nodes, the CNI plugins themselves."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.podnet.conflist import render_conflist
from kubeinstall.podnet.nat import render_nat
from kubeinstall.podnet.policy.compile import compile_policies
from kubeinstall.podnet.policy.model import Cluster, Pod
from kubeinstall.podnet.routes import Peer, RouteTable
from kubeinstall.podnet.table import PodTable
from kubeinstall.runtime.nftables import Nftables
from tests.network.world import World, sh

pytestmark = pytest.mark.host

CNI = Path("/usr/lib/cni")
NAMESPACES = {"default": {"team": "red"}, "other": {"team": "blue"}}


class Policies:
    """A table over the node's namespace; pods a, b in default and c in other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nftables = Nftables(world.node_path)
        self.table = PodTable(self.nftables, "ip", "cni0")
        self.pods = [
            Pod("default", "a", "here", {"app": "a"}, (World.pods[0],), (("web", "tcp", 8080),)),
            Pod("default", "b", "here", {"app": "b"}, (World.pods[1],), ()),
            Pod("other", "c", "here", {"app": "c"}, (World.pods[2],), ()),
        ]

    async def apply(self, *policies: dict[str, Any]) -> None:
        wanted = compile_policies(policies, Cluster(self.pods, NAMESPACES), "here", "ip")
        await self.table.apply(render_nat("ip", ["10.244.0.0/24"], ["10.244.0.0/16"]), wanted)

    def reaches(self, source: int, target: int, protocol: str = "tcp") -> bool:
        where = World.pods[target]
        return bool(self.world.ask(self.world.pod_names[source], protocol, where, 8080)[0][0])


@pytest.fixture
async def policies(world: World) -> AsyncIterator[Policies]:
    if not Path("/proc/sys/net/bridge").exists():
        pytest.skip("needs br_netfilter: without it packets between pods of a bridge are not seen")
    made = Policies(world)
    yield made
    await made.table.delete()
    await made.nftables.close()


def policy(name: str = "p", app: str = "a", **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": app}} if app else {}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podSelector": selector, **spec},
    }


async def test_default_deny_and_back(policies: Policies) -> None:
    await policies.apply()
    assert policies.reaches(1, 0)
    await policies.apply(policy(policyTypes=["Ingress"]))
    assert not policies.reaches(1, 0)
    assert policies.reaches(1, 2)
    assert policies.reaches(0, 1), "what the pod itself starts is not touched"
    node = policies.world.ask(policies.world.node, "tcp", World.pods[0], 8080)
    assert node[0][0] == "a", "the node may always probe its own pods"
    await policies.apply()
    assert policies.reaches(1, 0)


async def test_ingress_from_pods_and_namespaces(policies: Policies) -> None:
    pods = {"podSelector": {"matchLabels": {"app": "b"}}}
    await policies.apply(policy(ingress=[{"from": [pods]}]))
    assert policies.reaches(1, 0)
    assert not policies.reaches(2, 0)
    blue = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
    await policies.apply(policy(ingress=[{"from": [blue]}]))
    assert policies.reaches(2, 0)
    assert not policies.reaches(1, 0)
    both = {**blue, "podSelector": {"matchLabels": {"app": "nobody"}}}
    await policies.apply(policy(ingress=[{"from": [both]}]))
    assert not policies.reaches(2, 0)
    # Policies add up.
    await policies.apply(
        policy(ingress=[{"from": [both]}]), policy("q", ingress=[{"from": [pods]}])
    )
    assert policies.reaches(1, 0)
    assert not policies.reaches(2, 0)


async def test_ports(policies: Policies) -> None:
    async def allows(port: dict[str, Any]) -> tuple[bool, bool]:
        await policies.apply(policy(ingress=[{"ports": [port]}]))
        return policies.reaches(1, 0), policies.reaches(1, 0, "udp")

    assert await allows({"port": 8080}) == (True, False)
    assert await allows({"port": 8080, "protocol": "UDP"}) == (False, True)
    assert await allows({"port": 8000, "endPort": 8100}) == (True, False)
    assert await allows({"port": 9000, "endPort": 9100}) == (False, False)
    assert await allows({"port": "web"}) == (True, False)
    assert await allows({"port": "other"}) == (False, False)
    assert await allows({"protocol": "UDP"}) == (False, True)
    assert policies.table.rebuilds == 1, "every change was a small one"


async def test_egress_and_blocks(policies: Policies) -> None:
    await policies.apply(policy(policyTypes=["Egress"]))
    assert not policies.reaches(0, 1)
    assert policies.reaches(1, 0)
    block = {"cidr": "10.244.0.0/24", "except": [f"{World.pods[2]}/32"]}
    await policies.apply(policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]))
    assert policies.reaches(0, 1)
    assert not policies.reaches(0, 2)
    everywhere = {"ipBlock": {"cidr": "0.0.0.0/0"}}
    await policies.apply(policy(policyTypes=["Egress"], egress=[{"to": [everywhere]}]))
    assert policies.reaches(0, 2)
    # Sender and receiver must both agree.
    await policies.apply(
        policy("e", policyTypes=["Egress"], egress=[{"to": [everywhere]}]),
        policy("i", app="b", policyTypes=["Ingress"]),
    )
    assert not policies.reaches(0, 1)
    assert policies.table.rebuilds == 1


async def test_a_pod_that_comes_later_is_let_in_without_a_rebuild(policies: Policies) -> None:
    await policies.apply(
        policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "n"}}}]}])
    )
    assert not policies.reaches(1, 0)
    policies.pods[1] = Pod("default", "b", "here", {"app": "n"}, (World.pods[1],), ())
    await policies.apply(
        policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "n"}}}]}])
    )
    assert policies.table.rebuilds == 1
    assert policies.reaches(1, 0)


async def test_pods_are_masqueraded_outside_only(policies: Policies) -> None:
    await policies.apply()
    world = policies.world
    world.serve(world.client, "out", 7070)
    assert world.ask(world.pod_names[0], "tcp", "192.0.2.2", 7070) == [("out", World.node_ip)]
    assert world.ask(world.pod_names[0], "tcp", World.pods[1], 8080) == [("b", World.pods[0])]


@pytest.fixture
def two_nodes() -> Iterator[tuple[str, str]]:
    """Two node namespaces with an uplink each; pods' networks live on a bridge of each."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    names = (f"kroute{os.getpid()}-a", f"kroute{os.getpid()}-b")
    for name in names:
        sh(f"ip netns add {name}")
        sh(f"ip -n {name} link set lo up")
        sh(f"ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1")
    yield names
    for name in names:
        sh(f"ip netns del {name}", check=False)


def join(names: tuple[str, str], addresses: tuple[str, str], prefix: int) -> None:
    one, other = names
    sh(f"ip -n {one} link add up0 type veth peer name up0 netns {other}")
    for number, (name, address) in enumerate(zip(names, addresses, strict=True)):
        sh(f"ip -n {name} addr add {address}/{prefix} dev up0")
        sh(f"ip -n {name} link set up0 up")
        sh(f"ip -n {name} link add cni0 type bridge")
        sh(f"ip -n {name} addr add 10.244.{number}.1/24 dev cni0")
        sh(f"ip -n {name} link set cni0 up")


def sync(names: tuple[str, str], addresses: tuple[str, str], mode: str = "auto") -> list[int]:
    changes = []
    for number, name in enumerate(names):
        other = 1 - number
        peer = Peer("other", addresses[other], f"10.244.{other}.0/24")
        table = RouteTable(mode, 8472, name)
        changes.append(table.sync(addresses[number], [f"10.244.{number}.0/24"], [peer]))
    return changes


def reaches(names: tuple[str, str]) -> bool:
    """Whether the pods' bridge of the second node answers the first."""
    tools = World()
    try:
        tools.serve(names[1], "far", 6060)
        return tools.ask(names[0], "tcp", "10.244.1.1", 6060)[0][0] == "far"
    finally:
        tools.close()


def test_host_routes_on_a_shared_link(two_nodes: tuple[str, str]) -> None:
    addresses = ("198.51.100.1", "198.51.100.2")
    join(two_nodes, addresses, 24)
    assert sync(two_nodes, addresses) == [1, 1]
    assert sync(two_nodes, addresses) == [0, 0]
    assert "kubevxlan" not in sh(f"ip -n {two_nodes[0]} link")
    assert reaches(two_nodes)
    # The other node leaves; somebody else's route is not touched.
    sh(f"ip -n {two_nodes[0]} route add 10.99.0.0/24 via 198.51.100.2")
    RouteTable("auto", 8472, two_nodes[0]).clear()
    routes = sh(f"ip -n {two_nodes[0]} route")
    assert "10.244.1.0/24" not in routes
    assert "10.99.0.0/24" in routes


def test_vxlan_where_nodes_share_no_link(two_nodes: tuple[str, str]) -> None:
    addresses = ("198.51.100.1", "203.0.113.1")
    join(two_nodes, addresses, 32)
    for number, name in enumerate(two_nodes):
        sh(f"ip -n {name} route add {addresses[1 - number]}/32 dev up0")
    sync(two_nodes, addresses)
    assert "kubevxlan" in sh(f"ip -n {two_nodes[0]} link")
    assert reaches(two_nodes)
    assert sync(two_nodes, addresses) == [0, 0]
    RouteTable("auto", 8472, two_nodes[0]).clear()
    assert "kubevxlan" not in sh(f"ip -n {two_nodes[0]} link")


def test_the_plugins_accept_the_conflist(two_nodes: tuple[str, str], tmp_path: Path) -> None:
    """ADD, look, DEL, each plugin of the list in turn as the runtime would."""
    if not (CNI / "bridge").exists():
        pytest.skip("needs the package containernetworking-plugins")
    node, pod = two_nodes
    document = json.loads(render_conflist(["10.244.9.0/24"], mtu=1400))
    document["plugins"][0]["ipam"]["dataDir"] = str(tmp_path)
    environment = {
        **os.environ,
        "CNI_CONTAINERID": "test",
        "CNI_NETNS": f"/run/netns/{pod}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(CNI),
    }

    def call(command: str, plugin: dict[str, Any], previous: Any) -> Any:
        config = {"cniVersion": document["cniVersion"], "name": document["name"], **plugin}
        if plugin["type"] == "portmap":
            mapping = {"hostPort": 8088, "containerPort": 6060, "protocol": "tcp"}
            config["runtimeConfig"] = {"portMappings": [mapping]}
        if previous:
            config["prevResult"] = previous
        done = subprocess.run(
            ["ip", "netns", "exec", node, str(CNI / plugin["type"])],
            input=json.dumps(config), capture_output=True, text=True, check=False,
            env={**environment, "CNI_COMMAND": command},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout) if done.stdout.strip() else None

    result: Any = None
    for plugin in document["plugins"]:
        result = call("ADD", plugin, result)
    assert result["ips"][0]["address"].startswith("10.244.9.")
    link = json.loads(sh(f"ip -j -n {pod} link show eth0"))[0]
    assert link["mtu"] == 1400
    assert "default via 10.244.9.1" in sh(f"ip -n {pod} route")
    assert "hairpin on" in sh(f"ip -d -n {node} link show type bridge_slave")
    tools = World()
    try:
        tools.serve(pod, "mapped", 6060)
        assert tools.ask(node, "tcp", "10.244.9.1", 8088)[0][0] == "mapped"
    finally:
        tools.close()
    for plugin in reversed(document["plugins"]):
        call("DEL", plugin, result)
    assert "eth0" not in sh(f"ip -n {pod} link")
