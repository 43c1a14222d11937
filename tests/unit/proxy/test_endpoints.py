"""Which endpoints count: readiness, duplicates, hints, and the last resort."""

from __future__ import annotations

from typing import Any

from kubeinstall.proxy.endpoints import parse_slices, select


def piece(*endpoints: dict[str, Any], **more: Any) -> dict[str, Any]:
    ports = [{"name": "web", "port": 80, "protocol": "TCP"}]
    return {"addressType": "IPv4", "ports": ports, "endpoints": list(endpoints), **more}


def endpoint(address: str, node: str = "", hints: Any = None, **conditions: bool) -> dict[str, Any]:
    return {
        "addresses": [address],
        "nodeName": node,
        "conditions": conditions,
        "hints": hints or {},
    }


def chosen(*endpoints: dict[str, Any], zone: str = "") -> tuple[list[str], list[str]]:
    found = select(parse_slices([piece(*endpoints)], "web", "tcp", "IPv4", "me"), "me", zone)
    return [e.ip for e in found.cluster], [e.ip for e in found.local]


def test_by_port_name_protocol_and_family() -> None:
    slices = [piece(endpoint("10.0.0.1")), piece(endpoint("fd00::1"), addressType="IPv6")]
    assert [e.ip for e in parse_slices(slices, "web", "tcp", "IPv4", "me")] == ["10.0.0.1"]
    assert [e.ip for e in parse_slices(slices, "web", "tcp", "IPv6", "me")] == ["fd00::1"]
    assert parse_slices(slices, "web", "udp", "IPv4", "me") == []
    assert parse_slices(slices, "other", "tcp", "IPv4", "me") == []


def test_the_same_endpoint_in_two_slices_counts_once_and_ready_wins() -> None:
    slices = [piece(endpoint("10.0.0.1", ready=False)), piece(endpoint("10.0.0.1", ready=True))]
    (found,) = parse_slices(slices, "web", "tcp", "IPv4", "me")
    assert found.ready


def test_ready_local_and_unknown_readiness() -> None:
    assert chosen(
        endpoint("10.0.0.1", "me"),
        endpoint("10.0.0.2", "other", ready=True),
        endpoint("10.0.0.3", "me", ready=False),
    ) == (["10.0.0.1", "10.0.0.2"], ["10.0.0.1"])


def test_terminating_but_serving_is_the_last_resort() -> None:
    leaving = endpoint("10.0.0.1", "me", ready=False, serving=True, terminating=True)
    gone = endpoint("10.0.0.2", "me", ready=False, serving=False, terminating=True)
    assert chosen(leaving, gone) == (["10.0.0.1"], ["10.0.0.1"])
    assert chosen(leaving, gone, endpoint("10.0.0.3", "other")) == (["10.0.0.3"], ["10.0.0.1"])


def zones(*names: str) -> dict[str, Any]:
    return {"forZones": [{"name": name} for name in names]}


def test_zone_hints_need_all_endpoints_and_one_match() -> None:
    one, two = endpoint("10.0.0.1", hints=zones("x")), endpoint("10.0.0.2", hints=zones("y"))
    assert chosen(one, two, zone="x")[0] == ["10.0.0.1"]
    assert chosen(one, two, zone="z")[0] == ["10.0.0.1", "10.0.0.2"]
    assert chosen(one, two)[0] == ["10.0.0.1", "10.0.0.2"]
    assert chosen(one, endpoint("10.0.0.3"), zone="x")[0] == ["10.0.0.1", "10.0.0.3"]


def test_node_hints_come_before_zone_hints() -> None:
    one = endpoint("10.0.0.1", hints={"forNodes": [{"name": "me"}], **zones("x")})
    two = endpoint("10.0.0.2", hints={"forNodes": [{"name": "other"}], **zones("x")})
    assert chosen(one, two, zone="x")[0] == ["10.0.0.1"]
