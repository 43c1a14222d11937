"""Around Service writes: cluster IPs, node ports, families; nothing is given out twice."""

from __future__ import annotations

import asyncio

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks.cluster_ips import ClusterIPs
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.hooks.services import ServiceHooks
from kubeinstall.errors import Invalid, NotFound
from tests.unit.apiserver_policy.memory import MemoryRegistry

GROUP = "networking.k8s.io"


class World:
    """A registry with service hooks over it."""

    def __init__(self, *cidrs: str, ports: range = range(30000, 32768)) -> None:
        self.registry = MemoryRegistry()
        self.ips = ClusterIPs(self.registry, cidrs or ("10.96.0.0/16",))
        self.hooks = ServiceHooks(self.registry, self.ips, NodePorts(self.registry, ports))

    async def create(self, name: str, dry_run: bool = False, **spec: object) -> Object:
        obj: Object = {
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"type": "ClusterIP", "selector": {"a": "b"}, "ports": [{"port": 80}], **spec},
        }
        await self.hooks.before_create(self.registry, obj, dry_run)
        return obj if dry_run else self.registry.put("services", obj)

    async def update(self, old: Object, **spec: object) -> Object:
        new = {"metadata": dict(old["metadata"]), "spec": {**old["spec"], **spec}}
        await self.hooks.before_update(self.registry, new, old, False)
        return self.registry.put("services", new)

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
    obj: Object = {"metadata": {"name": "x", "namespace": "ns"}, "spec": {"ports": []}}
    await world.hooks.before_create(world.registry, obj, False)
    await world.hooks.rollback_create(world.registry, obj)
    with pytest.raises(NotFound):
        world.holder(obj["spec"]["clusterIP"])


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
    await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        world.holder(address)
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
