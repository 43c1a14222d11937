"""Several API servers: endpoints are exactly those that live, identities are kept and collected."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubeinstall.api import times
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.peers.endpoints import EndpointReconciler
from kubeinstall.apiserver.peers.identity import IdentityLease, identity_name
from kubeinstall.apiserver.peers.leases import PREFIX, MasterLeases
from kubeinstall.storage.sqlite import SQLiteStore
from kubeinstall.storage.store import Store
from tests.unit.apiserver_policy.memory import MemoryRegistry

LEASES = kind("leases", "coordination.k8s.io")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SQLiteStore.open(tmp_path / "state.db")
    yield opened
    await opened.close()


def listed(registry: MemoryRegistry) -> list[str]:
    """What Endpoints and EndpointSlice say; they must agree."""
    endpoints = registry.get(kind("endpoints"), "kubernetes", "default")
    slices = registry.get(kind("endpointslices", "discovery.k8s.io"), "kubernetes", "default")
    found = [a["ip"] for s in endpoints["subsets"] for a in s["addresses"]]
    assert found == [a for e in slices["endpoints"] for a in e["addresses"]]
    assert endpoints["subsets"][0]["ports"] == slices["ports"]
    return found


def server(
    registry: MemoryRegistry, store: Store, address: str, port: int = 6443, ttl: int = 15
) -> EndpointReconciler:
    return EndpointReconciler(registry, MasterLeases(store, ttl), address, port)


async def test_servers_come_and_go_in_order(store: Store) -> None:
    registry = MemoryRegistry()
    many = [server(registry, store, f"10.0.0.{n}") for n in (10, 2, 3)]
    for one in many:
        await one.reconcile()
    assert listed(registry) == ["10.0.0.2", "10.0.0.3", "10.0.0.10"]
    labels = registry.get(kind("endpoints"), "kubernetes", "default")["metadata"]["labels"]
    assert labels == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    await many[0].stop()
    assert listed(registry) == ["10.0.0.2", "10.0.0.3"]
    await many[0].reconcile()  # a round that was late
    assert listed(registry) == ["10.0.0.2", "10.0.0.3"]
    await many[1].stop()
    await many[2].stop()
    assert listed(registry) == ["10.0.0.3"], "the last one leaves its address, as upstream's"
    assert await store.get(PREFIX + "10.0.0.3") is None


async def test_a_server_that_died_is_missed(store: Store) -> None:
    registry = MemoryRegistry()
    dead, alive = (
        server(registry, store, "10.0.0.1", ttl=1),
        server(registry, store, "10.0.0.2", ttl=30),
    )
    await dead.reconcile()
    await alive.reconcile()
    assert listed(registry) == ["10.0.0.1", "10.0.0.2"]
    deadline = asyncio.get_running_loop().time() + 15
    while listed(registry) != ["10.0.0.2"]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)
        await alive.reconcile()


async def test_a_server_that_starts_again_waits_until_it_is_ready(store: Store) -> None:
    registry = MemoryRegistry()
    first, second = server(registry, store, "10.0.0.1"), server(registry, store, "10.0.0.2")
    await first.reconcile()
    await second.reconcile()
    again = server(registry, store, "10.0.0.1")
    assert await again.forget()
    assert listed(registry) == ["10.0.0.2"]
    assert not await again.forget()
    await again.reconcile()
    assert listed(registry) == ["10.0.0.1", "10.0.0.2"]


async def test_what_others_wrote_is_put_right_and_nothing_is_written_twice(store: Store) -> None:
    registry = MemoryRegistry()
    one = server(registry, store, "10.0.0.1")
    await one.reconcile()
    before = registry.get(kind("endpoints"), "kubernetes", "default")["metadata"]
    await one.reconcile()
    after = registry.get(kind("endpoints"), "kubernetes", "default")["metadata"]
    assert before["resourceVersion"] == after["resourceVersion"]
    for subsets in (
        [],
        [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"name": "https", "port": 1}]}],
        [{"addresses": [{"ip": "10.0.0.1"}]}, {"addresses": [{"ip": "10.0.0.1"}]}],
    ):
        broken = registry.get(kind("endpoints"), "kubernetes", "default")
        broken["subsets"], broken["metadata"]["labels"] = subsets, {}
        registry.put("endpoints", broken)
        await one.reconcile()
        assert listed(registry) == ["10.0.0.1"]


async def test_servers_with_different_ports_do_not_take_turns(store: Store) -> None:
    registry = MemoryRegistry()
    one, two = server(registry, store, "10.0.0.1", 6443), server(registry, store, "10.0.0.2", 7443)
    for each in (one, two, one):
        await each.reconcile()
    endpoints = registry.get(kind("endpoints"), "kubernetes", "default")
    version = endpoints["metadata"]["resourceVersion"]
    await two.reconcile()
    assert (
        registry.get(kind("endpoints"), "kubernetes", "default")["metadata"]["resourceVersion"]
        == version
    )


async def test_an_address_of_the_other_family_makes_another_slice(store: Store) -> None:
    registry = MemoryRegistry()
    old = server(registry, store, "10.0.0.1")
    await old.reconcile()
    await MasterLeases(store).remove("10.0.0.1")
    await server(registry, store, "fd00::1").reconcile()
    slices = registry.get(kind("endpointslices", "discovery.k8s.io"), "kubernetes", "default")
    assert slices["addressType"] == "IPv6"
    assert listed(registry) == ["fd00::1"]


def test_the_name_of_an_identity() -> None:
    """base32 of 16 bytes of SHA-256 over host name and component, each with its length before it."""
    whole = b"\x00\x06host-1" + b"\x00\x0ekube-apiserver"
    digest = hashlib.sha256(whole).digest()[:16]
    name = base64.b32encode(digest).decode().lower().rstrip("=")
    assert identity_name("host-1") == f"apiserver-{name}"
    assert len(name) == 26


async def test_identities_are_kept_and_expired_ones_collected() -> None:
    registry = MemoryRegistry()
    mine = IdentityLease(registry, "host-a")
    await mine.renew()
    lease = registry.get(LEASES, mine.name, "kube-system")
    assert lease["metadata"]["labels"] == {
        "apiserver.kubernetes.io/identity": "kube-apiserver",
        "kubernetes.io/hostname": "host-a",
    }
    assert lease["spec"]["leaseDurationSeconds"] == 3600
    assert lease["spec"]["holderIdentity"].startswith(mine.name + "_")
    await mine.renew()
    again = registry.get(LEASES, mine.name, "kube-system")
    assert times.unix(again["spec"]["renewTime"]) >= times.unix(lease["spec"]["renewTime"])
    other = IdentityLease(registry, "host-b")
    await other.renew()
    stale = registry.get(LEASES, other.name, "kube-system")
    stale["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    registry.put("leases", stale, "coordination.k8s.io")
    await mine.collect()
    names = {item["metadata"]["name"] for item in registry.list(LEASES, "kube-system")}
    assert names == {mine.name}


async def test_an_identity_ends_with_its_server() -> None:
    registry = MemoryRegistry()
    mine = IdentityLease(registry, "host-a")
    await mine.renew()
    await mine.forget()
    await mine.forget()
    assert registry.list(LEASES, "kube-system") == []
