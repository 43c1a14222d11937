"""Around Service writes: cluster IPs, node ports, families; nothing is given out twice."""

from __future__ import annotations

import asyncio
import copy
from typing import Any, cast

import pytest

from kubeinstall.api import strategy
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks.cluster_ips import ClusterIPs
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.hooks.port_claims import PortClaims
from kubeinstall.apiserver.hooks.services import ServiceHooks
from kubeinstall.errors import InternalError, Invalid, NotFound
from kubeinstall.storage.store import Store
from tests.unit.apiserver_policy.memory import MemoryRegistry, MemoryStore

GROUP = "networking.k8s.io"


class World:
    """A registry with service hooks over it."""

    def __init__(self, *cidrs: str, ports: range = range(30000, 32768)) -> None:
        self.registry = MemoryRegistry()
        self.ips = ClusterIPs(self.registry, cidrs or ("10.96.0.0/16",))
        self.store = MemoryStore()
        self.claims = PortClaims(cast("Store", self.store))
        nodes = NodePorts(self.registry, ports, self.claims)
        self.hooks = ServiceHooks(self.registry, self.ips, nodes)

    def beside(self, ports: range = range(30000, 32768)) -> World:
        """Another API server on the same datastore."""
        other = World.__new__(World)
        other.registry, other.store, other.claims = self.registry, self.store, self.claims
        other.ips = ClusterIPs(self.registry, ("10.96.0.0/16",))
        nodes = NodePorts(self.registry, ports, other.claims)
        other.hooks = ServiceHooks(self.registry, other.ips, nodes)
        return other

    async def create(self, name: str, dry_run: bool = False, **spec: object) -> Object:
        obj: Object = {
            "metadata": {"name": name, "namespace": "ns", "uid": f"uid-of-{name}"},
            "spec": {"type": "ClusterIP", "selector": {"a": "b"}, "ports": [{"port": 80}], **spec},
        }
        strategy.prepare_create(kind("services"), obj)
        await self.hooks.before_create(self.registry, obj, dry_run)
        return obj if dry_run else self.registry.put("services", obj)

    async def update(self, old: Object, **spec: object) -> Object:
        new = copy.deepcopy({"metadata": old["metadata"], "spec": {**old["spec"], **spec}})
        strategy.prepare_update(kind("services"), new, old)
        await self.hooks.before_update(self.registry, new, old, False)
        stored = self.registry.put("services", new)
        await self.hooks.after_update(self.registry, stored, old)
        return stored

    async def delete(self, service: Object) -> None:
        await self.registry.delete(kind("services"), "ns", service["metadata"]["name"])
        await self.hooks.after_delete(self.registry, service)

    def reasons(self) -> list[str]:
        """Of all events, in order."""
        events = self.registry.list(kind("events", "events.k8s.io"))
        return [event["reason"] for event in events]

    def holder(self, address: str) -> Object:
        return self.registry.get(kind("ipaddresses", GROUP), address)


async def test_defaults_and_the_address_object() -> None:
    world = World()
    spec = (await world.create("s"))["spec"]
    assert spec["ipFamilies"] == ["IPv4"]
    assert spec["ipFamilyPolicy"] == "SingleStack"
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.96.")
    assert world.holder(spec["clusterIP"])["spec"] == {
        "parentRef": {"resource": "services", "namespace": "ns", "name": "s"}
    }


async def test_explicit_addresses() -> None:
    world = World()
    assert (await world.create("s", clusterIP="10.96.0.10"))["spec"]["clusterIPs"] == ["10.96.0.10"]
    with pytest.raises(Invalid) as caught:
        await world.create("t", clusterIP="10.96.0.10")
    assert caught.value.message == (
        'Service "t" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to '
        "allocate IP 10.96.0.10: provided IP is already allocated"
    )
    with pytest.raises(Invalid, match="does not match the current range"):
        await world.create("t", clusterIP="192.168.0.1")
    with pytest.raises(Invalid, match=r"192.168.0.1\) is not in the valid range. The range of"):
        await world.create("t", clusterIP="192.168.0.1", dry_run=True)
    with pytest.raises(Invalid, match=r"The range of valid IPs is 10\.96\.0\.0/16"):
        await world.create("t", clusterIP="10.96.0.0")


async def test_every_address_once_until_the_range_is_full() -> None:
    world = World("10.96.0.0/28")
    services = await asyncio.gather(*(world.create(f"s{n}") for n in range(14)))
    assert len({service["spec"]["clusterIP"] for service in services}) == 14
    with pytest.raises(Invalid, match="failed to allocate a serviceIP: range is full"):
        await world.create("more")
    gone = services[3]
    await world.registry.delete(kind("services"), "ns", "s3")
    await world.hooks.after_delete(world.registry, gone)
    again = await world.create("more")
    assert again["spec"]["clusterIP"] == gone["spec"]["clusterIP"]


async def test_what_failed_or_was_tried_gives_back() -> None:
    world = World()
    tried = await world.create("s", dry_run=True, type="NodePort")
    with pytest.raises(NotFound):
        world.holder(tried["spec"]["clusterIP"])
    assert world.store.items == {}
    obj: Object = {
        "metadata": {"name": "x", "namespace": "ns", "uid": "x"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}]},
    }
    await world.hooks.before_create(world.registry, obj, False)
    assert len(await world.claims.all()) == 1
    await world.hooks.rollback_create(world.registry, obj)
    assert await world.claims.all() == {}
    with pytest.raises(NotFound):
        world.holder(obj["spec"]["clusterIP"])
    # What was stored after all keeps what it has: the server only believed that the write had failed.
    await world.hooks.before_create(world.registry, obj, False)
    world.registry.put("services", obj)
    await world.hooks.rollback_create(world.registry, obj)
    assert len(await world.claims.all()) == 1
    assert world.holder(obj["spec"]["clusterIP"])


async def test_dry_runs_answer_with_ports_outside_the_range() -> None:
    tried = await World().create(
        "s", dry_run=True, type="LoadBalancer", externalTrafficPolicy="Local"
    )
    assert tried["spec"]["ports"][0]["nodePort"] == 32769
    assert tried["spec"]["healthCheckNodePort"] == 32770


async def test_headless_and_external_names_have_no_address() -> None:
    world = World()
    headless = (await world.create("h", clusterIP="None"))["spec"]
    assert headless["clusterIPs"] == ["None"]
    outside = (await world.create("e", type="ExternalName", externalName="x.example"))["spec"]
    assert "clusterIP" not in outside
    assert "ipFamilies" not in outside
    free = (await world.create("f", clusterIP="None", selector=None))["spec"]
    assert free["ipFamilyPolicy"] == "RequireDualStack"
    assert free["ipFamilies"] == ["IPv4", "IPv6"]


async def test_dual_stack() -> None:
    world = World("10.96.0.0/16", "fd00::/112")
    spec = (await world.create("s", ipFamilyPolicy="PreferDualStack"))["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert spec["clusterIPs"][1].startswith("fd00::")
    with pytest.raises(Invalid, match="not configured for dual-stack"):
        await World().create("t", ipFamilyPolicy="RequireDualStack")


async def test_node_ports() -> None:
    world = World(ports=range(30000, 30002))
    ports = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    spec = (await world.create("dns", type="NodePort", ports=ports))["spec"]
    assert spec["ports"][0]["nodePort"] == spec["ports"][1]["nodePort"]
    taken = spec["ports"][0]["nodePort"]
    with pytest.raises(Invalid) as caught:
        await world.create("x", type="NodePort", ports=[{"port": 1, "nodePort": taken}])
    assert caught.value.message == (
        f'Service "x" is invalid: spec.ports[0].nodePort: Invalid value: {taken}: provided port is '
        "already allocated"
    )
    with pytest.raises(Invalid, match="The range of valid ports is 30000-30001"):
        await world.create("x", type="NodePort", ports=[{"port": 1, "nodePort": 9}])
    await world.create("y", type="NodePort")
    silent = await world.create("z", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in silent["spec"]["ports"][0]


async def test_updates_keep_what_they_do_not_mention() -> None:
    world = World()
    old = await world.create("s", type="NodePort", ports=[{"name": "a", "port": 80}])
    address, port = old["spec"]["clusterIP"], old["spec"]["ports"][0]["nodePort"]
    new = await world.update(
        old,
        clusterIP="",
        clusterIPs=[],
        ports=[{"name": "a", "port": 81}, {"name": "b", "port": 9}],
    )
    assert new["spec"]["clusterIP"] == address
    assert new["spec"]["ports"][0]["nodePort"] == port
    assert new["spec"]["ports"][1]["nodePort"] not in (0, port)


async def test_changes_of_type() -> None:
    world = World()
    old = await world.create("s", type="NodePort")
    address = old["spec"]["clusterIP"]
    plain = await world.update(old, type="ClusterIP")
    assert "nodePort" not in plain["spec"]["ports"][0]
    outside = await world.update(plain, type="ExternalName", externalName="x.example")
    assert "clusterIP" not in outside["spec"]
    with pytest.raises(NotFound):
        world.holder(address)
    assert await world.claims.all() == {}
    back = await world.update(outside, type="ClusterIP")
    assert back["spec"]["clusterIP"]


async def test_health_check_port() -> None:
    world = World()
    spec = (await world.create("s", type="LoadBalancer", externalTrafficPolicy="Local"))["spec"]
    assert spec["healthCheckNodePort"] in range(30000, 32768)
    assert spec["healthCheckNodePort"] != spec["ports"][0]["nodePort"]


async def test_repair() -> None:
    world = World()
    service = await world.create("s")
    address = service["spec"]["clusterIP"]
    world.registry.put(
        "services",
        {"metadata": {"name": "t", "namespace": "ns"}, "spec": {"clusterIP": "10.96.9.9"}},
    )
    del world.registry.objects[("", "services")][("ns", "s")]
    await world.hooks.repair()
    with pytest.raises(NotFound):
        world.holder(address)
    assert world.holder("10.96.9.9")["spec"]["parentRef"]["name"] == "t"


async def test_of_one_port_claimed_at_once_through_two_servers_one_gets_it() -> None:
    here = World()
    there = here.beside()
    wanted = [{"port": 80, "nodePort": 30777}]
    for round_number in range(5):
        done = await asyncio.gather(
            here.create(f"a{round_number}", type="NodePort", ports=[dict(wanted[0])]),
            there.create(f"b{round_number}", type="NodePort", ports=[dict(wanted[0])]),
            return_exceptions=True,
        )
        refused = [one for one in done if isinstance(one, Invalid)]
        [made] = [one for one in done if isinstance(one, dict)]
        assert len(refused) == 1
        assert "provided port is already allocated" in refused[0].message
        await here.delete(made)
    many = await asyncio.gather(
        *((here if n % 2 else there).create(f"m{n}", type="NodePort") for n in range(60))
    )
    assert len({one["spec"]["ports"][0]["nodePort"] for one in many}) == 60


async def test_of_one_health_check_port_one_service_gets_it() -> None:
    here = World()
    there = here.beside()
    fields: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    done = await asyncio.gather(
        here.create("a", healthCheckNodePort=31000, **fields),
        there.create("b", healthCheckNodePort=31000, **fields),
        return_exceptions=True,
    )
    [refused] = [one for one in done if isinstance(one, InternalError)]
    assert "failed to allocate requested HealthCheck NodePort 31000" in refused.message
    # The refused one keeps nothing: its node port and address are free again.
    assert len(await here.claims.all()) == 2
    assert len(here.registry.list(kind("ipaddresses", GROUP))) == 1


async def test_a_dry_run_sees_claims_and_takes_nothing() -> None:
    world = World()
    await world.claims.take(30500, {"metadata": {"name": "under-way", "uid": "u"}})
    with pytest.raises(Invalid, match="already allocated"):
        await world.create(
            "s", dry_run=True, type="NodePort", ports=[{"port": 1, "nodePort": 30500}]
        )
    await world.create("s", dry_run=True, type="NodePort", ports=[{"port": 1, "nodePort": 30501}])
    assert set(await world.claims.all()) == {30500}


async def test_ports_outside_a_range_that_was_changed_are_kept_and_told() -> None:
    world = World()
    old = await world.create("s", type="NodePort", ports=[{"port": 1, "nodePort": 30001}])
    narrow = world.beside(range(31000, 31010))
    new = await narrow.update(old, ports=[{"port": 2, "nodePort": 30001}])
    assert new["spec"]["ports"][0]["nodePort"] == 30001
    for _ in range(4):
        await narrow.hooks.repair()
    assert narrow.reasons() == ["PortOutOfRange"]
    [event] = narrow.registry.list(kind("events", "events.k8s.io"))
    assert event["note"] == (
        "Port 30001 is not within the port range 31000-31009; please recreate service"
    )
    assert event["series"]["count"] == 4
    assert set(await world.claims.all()) == {30001}
    await narrow.delete(new)
    assert await world.claims.all() == {}


async def test_ports_that_nobody_claimed_are_claimed() -> None:
    """Services of a version that did not claim."""
    world = World()
    service = await world.create("s", type="NodePort")
    [port] = await world.claims.all()
    world.store.items.clear()
    await world.hooks.repair()
    claim = (await world.claims.all())[port]
    assert (claim.name, claim.uid) == ("s", service["metadata"]["uid"])
    assert world.reasons() == ["PortNotAllocated"]
    await world.hooks.repair()
    assert world.reasons() == ["PortNotAllocated"]


async def test_leaked_claims_are_dropped_after_three_looks() -> None:
    world = World()
    await world.claims.take(30900, {"metadata": {"name": "gone", "namespace": "ns", "uid": "u"}})
    for _ in range(2):
        await world.hooks.repair()
        assert 30900 in await world.claims.all()
    # Given back and taken again: another claim, which begins anew.
    await world.claims.give_back(30900, {"metadata": {"uid": "u"}})
    await world.claims.take(30900, {"metadata": {"name": "new", "namespace": "ns", "uid": "v"}})
    await world.hooks.repair()
    assert 30900 in await world.claims.all()
    await world.hooks.repair()
    await world.hooks.repair()
    assert await world.claims.all() == {}


async def test_a_claim_of_another_is_handed_to_who_has_the_port() -> None:
    world = World()
    service = await world.create("s", type="NodePort")
    [port] = await world.claims.all()
    claim = (await world.claims.all())[port]
    await world.claims.hand_over(claim, {"metadata": {"name": "x", "uid": "other"}})
    await world.hooks.repair()
    assert (await world.claims.all())[port].uid == service["metadata"]["uid"]


async def test_one_port_at_two_services_is_told() -> None:
    world = World()
    one = await world.create("a", type="NodePort")
    twin = {
        "metadata": {"name": "b", "namespace": "ns"},
        "spec": dict(one["spec"], clusterIP="None"),
    }
    twin["spec"]["clusterIPs"] = ["None"]
    world.registry.put("services", twin)
    await world.hooks.repair()
    assert world.reasons() == ["PortAlreadyAllocated"]


async def test_addresses_that_are_wrong_are_told_and_mended() -> None:
    world = World()
    service = await world.create("s")
    address = service["spec"]["clusterIP"]
    holder = world.holder(address)
    holder["spec"]["parentRef"]["name"] = "nobody"
    world.registry.put("ipaddresses", holder, GROUP)
    await world.hooks.repair()
    assert world.holder(address)["spec"]["parentRef"]["name"] == "s"
    far = {"metadata": {"name": "far", "namespace": "ns"}, "spec": {"clusterIP": "192.168.7.7"}}
    world.registry.put("services", far)
    await world.hooks.repair()
    assert world.reasons() == [
        "ClusterIPNotAllocated",
        "ClusterIPOutOfRange",
        "ClusterIPNotAllocated",
    ]
    notes = [e["note"] for e in world.registry.list(kind("events", "events.k8s.io"))]
    assert notes[1] == (
        "Cluster IP [IPv4]: 192.168.7.7 is not within any configured Service CIDR; please recreate service"
    )


async def test_a_datastore_that_fails_does_not_undo_a_delete() -> None:
    world = World()
    service = await world.create("s", type="NodePort")
    world.store.fail = True
    await world.delete(service)
    world.store.fail = False
    assert len(await world.claims.all()) == 1  # left to repair
    for _ in range(3):
        await world.hooks.repair()
    assert await world.claims.all() == {}


async def test_more_ranges() -> None:
    world = World("10.96.0.0/29")
    for number in range(6):
        await world.create(f"s{number}")
    with pytest.raises(Invalid):
        await world.create("more")
    cidr = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/29"]}}
    world.registry.put("servicecidrs", cidr, GROUP)
    extra = {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.97.0.0/24"]}}
    world.registry.put("servicecidrs", extra, GROUP)
    assert (await world.create("more"))["spec"]["clusterIP"].startswith("10.97.0.")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"clusterIPs": ["10.96.0.7"]},
            (
                'spec.clusterIPs: Invalid value: ["10.96.0.7"]: must be empty when `clusterIP` is not '
                "specified"
            ),
        ),
        (
            {"clusterIP": "10.96.0.8", "clusterIPs": ["10.96.0.7"]},
            'spec.clusterIPs: Invalid value: ["10.96.0.7"]: first value must match `clusterIP`',
        ),
        (
            {"ipFamilies": ["IPv4", "IPv6"]},
            (
                "spec.ipFamilyPolicy: Invalid value: null: must be 'RequireDualStack' or "
                "'PreferDualStack' when multiple IP families are specified"
            ),
        ),
    ],
)
async def test_fields_that_contradict_each_other(spec: Object, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        await World("10.96.0.0/16", "fd00::/112").create("s", **spec)
    assert caught.value.message == f'Service "s" is invalid: {told}'


@pytest.mark.parametrize(
    "spec",
    [
        {"ipFamilies": ["IPv5"]},
        {"ipFamilyPolicy": "Sometimes"},
        {"clusterIP": "nope"},
        {"clusterIP": "fd00::5", "ipFamilies": ["IPv4"]},
    ],
)
async def test_nothing_is_allocated_for_what_validation_will_refuse(spec: Object) -> None:
    world = World("10.96.0.0/16", "fd00::/112")
    await world.create("s", dry_run=True, **spec)
    assert world.registry.list(kind("ipaddresses", GROUP)) == []
