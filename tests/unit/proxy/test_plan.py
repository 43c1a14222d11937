"""Services become map elements, and only what differs is sent."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.proxy.chains import IPV4, IPV6, Family, Masquerading, Shape, render
from kubeinstall.proxy.config import ProxySettings
from kubeinstall.proxy.conntrack import UdpTarget, _stale
from kubeinstall.proxy.endpoints import Endpoint, Reachable
from kubeinstall.proxy.headroom import prepared
from kubeinstall.proxy.plan import Plan, plan_service
from kubeinstall.proxy.service import parse_service
from kubeinstall.proxy.table import Table
from kubeinstall.runtime.nftables import Nftables, NftablesError
from kubeinstall.runtime.settings import load

ONE, TWO = Endpoint("10.0.0.1", 8080, local=True), Endpoint("10.0.0.2", 8080)


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "web", "port": 80, "nodePort": spec.pop("node_port", 0)}]
    return {
        "metadata": {"name": "s", "namespace": "d", "labels": spec.pop("labels", {})},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.1", "ports": ports, **spec},
        "status": {},
    }


def plan(
    cluster: tuple[Endpoint, ...],
    local: tuple[Endpoint, ...] = (),
    family: Family = IPV4,
    **spec: Any,
) -> Plan:
    info = parse_service(service(**spec))
    assert info is not None
    found = {"web/tcp": Reachable(cluster, local)}
    return plan_service(info, found, family, Masquerading("10.0.0.0/8"))


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"type": "ExternalName", "clusterIP": ""},
        {"labels": {"service.kubernetes.io/service-proxy-name": "x"}},
    ],
)
def test_what_is_not_the_proxys(spec: dict[str, Any]) -> None:
    assert parse_service(service(**spec)) is None


def test_cluster_ip() -> None:
    elements = plan((ONE, TWO)).elements
    assert elements["service-ips 10.96.0.1 . tcp . 80"] == "goto svc-internal-2"
    assert elements["endpoints 10.96.0.1 . tcp . 80 . 0"] == "10.0.0.1 . 8080"
    assert elements["endpoints 10.96.0.1 . tcp . 80 . 1"] == "10.0.0.2 . 8080"
    assert "cluster-ips 10.96.0.1" in elements


def test_no_endpoints_refuse_and_none_here_drops() -> None:
    key = "no-endpoint-services 10.96.0.1 . tcp . 80"
    assert plan(()).elements[key] == "goto reject-chain"
    assert plan((TWO,), internalTrafficPolicy="Local").elements[key] == "drop"
    away = plan((TWO,), node_port=30001, externalTrafficPolicy="Local")
    assert away.elements["no-endpoint-nodeports tcp . 30001"] == "drop"
    assert away.elements["service-nodeports tcp . 30001"] == "goto svc-local-nodeport-1-0"


def test_only_local_endpoints_can_meet_themselves() -> None:
    assert plan((ONE, TWO)).hairpin == {"10.0.0.1"}


def test_ip6_sees_only_its_own_addresses() -> None:
    assert plan((), family=IPV6).elements == {}
    both = plan((), family=IPV6, clusterIPs=["10.96.0.1", "fd00::1"])
    assert set(both.elements) == {"cluster-ips fd00::1", "no-endpoint-services fd00::1 . tcp . 80"}


def test_sticky_services_remember_their_targets() -> None:
    sticky = plan((ONE, TWO), sessionAffinity="ClientIP")
    assert "learn-10800" in sticky.chains
    assert set(sticky.targets.values()) == {frozenset({("10.0.0.1", 8080), ("10.0.0.2", 8080)})}
    assert plan((ONE,)).targets == {}


def test_masquerading_of_cluster_traffic() -> None:
    shape = Shape("internal", False, 1)
    assert any("saddr != 10.0.0.0/8" in r for r in render(shape, IPV4, Masquerading("10.0.0.0/8")))
    assert not any("mark set" in r for r in render(shape, IPV4, Masquerading()))
    assert any(r.startswith("meta mark") for r in render(shape, IPV4, Masquerading("", True)))


class Recorder(Nftables):
    """Keeps scripts instead of running them; `refuse` makes the next one fail."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.refuse = False

    async def run(self, script: str) -> str:
        self.scripts.append(script)
        if self.refuse:
            self.refuse = False
            raise NftablesError("refused")
        return ""

    async def query(self, command: str) -> list[dict[str, Any]]:
        return []


async def test_only_the_difference_is_sent_and_a_refusal_rebuilds() -> None:
    nftables = Recorder()
    table = Table(nftables, IPV4)
    await table.apply({"d/s": plan((ONE, TWO))})
    assert "delete table ip kube-proxy" in nftables.scripts[-1]
    await table.apply({"d/s": plan((ONE, TWO))})
    assert len(nftables.scripts) == 1, "nothing changed, nothing is sent"
    await table.apply({"d/s": plan((ONE,))})
    assert nftables.scripts[-1].splitlines() == [
        "delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 }",
        "delete element ip kube-proxy endpoints { 10.96.0.1 . tcp . 80 . 1 }",
        "add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 : goto svc-internal-1 }",
    ]
    assert table.rebuilds == 1, "the chain for one endpoint was there already"
    nftables.refuse = True
    await table.apply({"d/s": plan((TWO,))})
    assert "delete table ip kube-proxy" in nftables.scripts[-1]
    assert "10.0.0.2 . 8080" in nftables.scripts[-1]


async def test_an_endpoint_shared_by_services_stays_until_the_last_lets_go() -> None:
    nftables = Recorder()
    table = Table(nftables, IPV4)
    other = plan((ONE,), clusterIP="10.96.0.2")
    await table.apply({"d/s": plan((ONE,)), "d/t": other})
    await table.apply({"d/s": None})
    assert "hairpin" not in nftables.scripts[-1]
    await table.apply({"d/t": None})
    assert "delete element ip kube-proxy hairpin { 10.0.0.1 . 10.0.0.1 }" in nftables.scripts[-1]


def test_which_udp_flows_are_stale() -> None:
    line = (
        "udp 17 28 src=10.0.0.9 dst=10.96.0.1 sport=4001 dport=53 "
        "src={reply} dst=10.0.0.9 sport={port} dport=4001 [ASSURED] use=1"
    )
    target = UdpTarget("10.96.0.1", 53, frozenset({("10.0.0.1", 5353)}))
    places = {(target.address, target.port): target}

    def stale(reply: str, port: int) -> list[tuple[str, int, str]]:
        return list(_stale(line.format(reply=reply, port=port), places))

    assert stale("10.0.0.1", 5353) == []
    assert stale("10.0.0.2", 5353) == [("10.96.0.1", 53, "10.0.0.2")]
    assert stale("10.96.0.1", 53) == [("10.96.0.1", 53, "10.96.0.1")]


@pytest.mark.parametrize(
    ("flag", "value"),
    [("cluster-cidr", "x"), ("mode", "iptables"), ("healthz-bind-address", "10256"),
     ("detect-local-mode", "NodeCIDR")],
)  # fmt: skip
def test_wrong_settings_name_the_flag(flag: str, value: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        load(ProxySettings, {flag: value}, "test")


def test_shapes_are_made_before_they_are_needed() -> None:
    chains = prepared([plan((ONE, TWO), node_port=30001, externalTrafficPolicy="Local")], IPV4)
    assert {f"svc-internal-{n}" for n in range(1, 17)} <= set(chains)
    assert {"svc-local-nodeport-3-1", "svc-inner-nodeport-3"} <= set(chains)
    many = tuple(Endpoint(f"10.0.1.{n}", 80) for n in range(40))
    assert "svc-internal-80" in prepared([plan(many)], IPV4)
    assert prepared([], IPV4) == {}
