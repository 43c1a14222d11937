"""Service proxy, pod network and cluster DNS as components, fed by a real API server."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kubeinstall.client import ApiClient
from kubeinstall.dns.component import ClusterDNS
from kubeinstall.dns.config import DnsSettings
from kubeinstall.podnet.component import PodNetwork
from kubeinstall.podnet.config import PodNetworkSettings
from kubeinstall.proxy.component import Proxy
from kubeinstall.proxy.config import ProxySettings
from kubeinstall.proxy.conntrack import Conntrack
from kubeinstall.runtime.component import Component, ComponentContext
from kubeinstall.runtime.nftables import Nftables
from kubeinstall.runtime.settings import load
from tests.network.world import World, sh
from tests.support.apiserver import RunningServer

pytestmark = pytest.mark.host

SERVICES, SLICES = "v1/services", "discovery.k8s.io/v1/endpointslices"


@asynccontextmanager
async def running(component: Component[Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(component.run())
    try:
        started = asyncio.create_task(component.context.started.wait())
        await asyncio.wait({task, started}, timeout=15, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert started.done(), "not ready in time"
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(probe: Callable[[], Awaitable[Any]], seconds: float = 8) -> Any:
    end = asyncio.get_running_loop().time() + seconds
    while True:
        result = await probe()
        if result or asyncio.get_running_loop().time() > end:
            return result
        await asyncio.sleep(0.05)


async def make_service(client: ApiClient, name: str, **spec: Any) -> dict[str, Any]:
    return await client.create(
        SERVICES, {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    )


async def make_slice(client: ApiClient, name: str, *addresses: str) -> dict[str, Any]:
    return await client.create(
        SLICES,
        {
            "metadata": {
                "name": f"{name}-1",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [address], "nodeName": "here", "conditions": {"ready": True}}
                for address in addresses
            ],
        },
    )


async def get(url: str) -> tuple[int, bytes]:
    def fetch() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(fetch)


async def test_proxy(world: World, api_server: RunningServer) -> None:
    nftables = Nftables(world.node_path)
    settings = load(
        ProxySettings,
        {
            "kubeconfig": str(api_server.kubeconfig("kube-proxy")),
            "hostname-override": "here",
            "cluster-cidr": "10.244.0.0/16",
            "healthz-bind-address": "127.0.0.1:18256",
            "metrics-bind-address": "127.0.0.1:18249",
        },
        "test",
    )
    tool = Conntrack(("ip", "netns", "exec", world.node))
    proxy = Proxy(settings, ComponentContext("kube-proxy"), nftables, tool)
    async with api_server.client() as client, running(proxy):
        service = await make_service(client, "px", ports=[{"port": 80, "targetPort": 8080}])
        address = service["spec"]["clusterIP"]

        async def answer(times: int = 1) -> set[str]:
            tries = await asyncio.to_thread(world.ask, world.client, "tcp", address, 80, times)
            return {name or reason for name, reason in tries}

        async def refused() -> bool:
            return await answer() == {"refused"}

        assert await until(refused)
        await make_slice(client, "px", World.pods[0], World.pods[1])

        async def both() -> bool:
            if not await answer() <= {"a", "b"}:
                return False
            return await answer(20) == {"a", "b"}

        assert await until(both)
        status, body = await get("http://127.0.0.1:18256/healthz")
        assert (status, json.loads(body)["nodeEligible"]) == (200, True)
        _, metrics = await get("http://127.0.0.1:18249/metrics")
        assert b"kubeproxy_sync_proxy_rules_duration_seconds" in metrics
        # A service handed to another proxy is not ours any more; taken back, it is again.
        label = {"service.kubernetes.io/service-proxy-name": "other"}
        await client.patch(SERVICES, "px", {"metadata": {"labels": label}}, "default")

        async def unserved() -> bool:
            return await answer() == {"timeout"}

        assert await until(unserved)
        back = {"service.kubernetes.io/service-proxy-name": None}
        await client.patch(SERVICES, "px", {"metadata": {"labels": back}}, "default")
        assert await until(both)
        await client.delete(SERVICES, "px", "default")

        async def gone() -> bool:
            return await answer() == {"timeout"}

        assert await until(gone)
        await client.delete(SLICES, "px-1", "default")
    for family in ("ip", "ip6"):
        await nftables.run(f"table {family} kube-proxy\ndelete table {family} kube-proxy")
    await nftables.close()


async def test_pod_network(world: World, api_server: RunningServer, tmp_path: Path) -> None:
    nftables = Nftables(world.node_path)
    settings = load(
        PodNetworkSettings,
        {
            "kubeconfig": str(api_server.admin_kubeconfig),
            "hostname-override": "here",
            "cni-conf-dir": str(tmp_path),
            "health-bind-address": "127.0.0.1:18246",
        },
        "test",
    )

    def node(name: str, address: str, cidr: str) -> dict[str, Any]:
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        return {
            "metadata": {"name": name},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
            "status": status,
        }

    async with api_server.client() as client:
        await client.create("v1/nodes", node("here", World.node_ip, "10.244.0.0/24"))
        network = PodNetwork(settings, ComponentContext("kube-podnet"), nftables, world.node)
        async with running(network):
            written = json.loads((tmp_path / "10-kubeinstall.conflist").read_text())
            assert written["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/24"}]]
            assert (await get("http://127.0.0.1:18246/healthz"))[0] == 200
            await client.create("v1/nodes", node("there", "192.0.2.77", "10.244.7.0/24"))

            async def routed() -> bool:
                found = await asyncio.to_thread(sh, f"ip -n {world.node} route")
                return "10.244.7.0/24 via 192.0.2.77 dev out" in found

            assert await until(routed)
            await client.delete("v1/nodes", "there")

            async def unrouted() -> bool:
                return not await routed()

            assert await until(unrouted)
            await _policy(world, client)
        await client.delete("v1/nodes", "here")
    await nftables.run("table ip kube-podnet\ndelete table ip kube-podnet")
    await nftables.close()


async def _policy(world: World, client: ApiClient) -> None:
    """A policy that comes and goes; pods are watched from the first one on."""
    if not Path("/proc/sys/net/bridge").exists():
        return
    account = {"metadata": {"name": "default", "namespace": "default"}}
    with suppress(Exception):
        await client.create("v1/serviceaccounts", account)
    made = await client.create(
        "v1/pods",
        {
            "metadata": {"name": "np", "namespace": "default", "labels": {"app": "np"}},
            "spec": {"nodeName": "here", "containers": [{"name": "c", "image": "x"}]},
        },
    )
    made["status"] = {
        "phase": "Running",
        "podIP": World.pods[0],
        "podIPs": [{"ip": World.pods[0]}],
    }
    await client.update_status("v1/pods", made)

    async def reachable() -> bool:
        found = await asyncio.to_thread(world.ask, world.pod_names[1], "tcp", World.pods[0], 8080)
        return found[0][0] == "a"

    async def unreachable() -> bool:
        return not await reachable()

    assert await reachable()
    policies = "networking.k8s.io/v1/networkpolicies"
    await client.create(
        policies,
        {
            "metadata": {"name": "deny", "namespace": "default"},
            "spec": {"podSelector": {"matchLabels": {"app": "np"}}, "policyTypes": ["Ingress"]},
        },
    )
    assert await until(unreachable)
    await client.delete(policies, "deny", "default")
    assert await until(reachable)
    await client.delete("v1/pods", "np", "default", grace_period_seconds=0)


async def test_cluster_dns(api_server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("")
    settings = load(
        DnsSettings,
        {
            "kubeconfig": str(api_server.admin_kubeconfig),
            "cluster-dns": "127.9.9.9",
            "interface": "",
            "port": 0,
            "resolv-conf": str(tmp_path / "resolv.conf"),
            "metrics-bind-address": "127.0.0.1:18153",
        },
        "test",
    )
    component = ClusterDNS(settings, ComponentContext("kube-dns"))

    async def ask(name: str, kind: str = "A") -> tuple[str, set[str]]:
        query = dns.message.make_query(f"{name}.default.svc.cluster.local", kind)
        answer = await dns.asyncquery.udp(query, "127.9.9.9", timeout=5, port=component.port)
        found = {str(item) for rrset in answer.answer for item in rrset}
        return dns.rcode.to_text(answer.rcode()), found

    async with api_server.client() as client, running(component):
        assert (await ask("dn"))[0] == "NXDOMAIN"
        await make_service(client, "dn", clusterIP="None", ports=[{"port": 80}])
        await make_slice(client, "dn", "10.244.0.11", "10.244.0.12")

        async def answered() -> bool:
            return await ask("dn") == ("NOERROR", {"10.244.0.11", "10.244.0.12"})

        assert await until(answered)
        await client.delete(SLICES, "dn-1", "default")
        await client.delete(SERVICES, "dn", "default")

        async def forgotten() -> bool:
            return (await ask("dn"))[0] == "NXDOMAIN"

        assert await until(forgotten)
        _, metrics = await get("http://127.0.0.1:18153/metrics")
        assert b"coredns_dns_requests_total" in metrics
