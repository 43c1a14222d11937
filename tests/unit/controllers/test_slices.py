"""Planning EndpointSlice writes."""

from __future__ import annotations

from typing import Any

from kubeinstall.controllers.endpoints.slices import Group, endpoint_key, plan, ports_key

PORTS = [{"name": "", "port": 80, "protocol": "TCP"}]
FRAME: dict[str, Any] = {"metadata": {"labels": {"l": "1"}, "ownerReferences": [{"uid": "s"}]}}


def endpoint(number: int, *, ready: bool = True) -> dict[str, Any]:
    return {
        "addresses": [f"10.0.0.{number}"],
        "conditions": {"ready": ready},
        "targetRef": {"uid": f"u{number}"},
    }


def group(*endpoints: dict[str, Any]) -> dict[bytes, Group]:
    return {ports_key(PORTS): Group(PORTS, {endpoint_key(e): e for e in endpoints})}


def existing(name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, **FRAME["metadata"]},
        "ports": PORTS,
        "endpoints": list(endpoints),
    }


def test_nothing_to_do() -> None:
    made = plan(group(endpoint(1)), [existing("a", endpoint(1))], FRAME, 100)
    assert (made.create, made.update, made.delete) == ([], [], [])


def test_service_without_endpoints_has_one_empty_slice() -> None:
    made = plan({}, [], FRAME, 100)
    assert [s["endpoints"] for s in made.create] == [[]]
    assert "ports" not in made.create[0]


def test_new_endpoints_fill_before_they_spill() -> None:
    before = existing("a", endpoint(1), endpoint(2))
    made = plan(group(*(endpoint(n) for n in range(1, 6))), [before], FRAME, 3)
    assert [len(s["endpoints"]) for s in made.create] == [3]
    assert not made.update
    made = plan(group(*(endpoint(n) for n in range(1, 4))), [before], FRAME, 3)
    assert [len(s["endpoints"]) for s in made.update] == [3]
    assert not made.create


def test_changed_and_gone_endpoints_rewrite_their_slice_only() -> None:
    first, second = existing("a", endpoint(1), endpoint(2)), existing("b", endpoint(3))
    made = plan(group(endpoint(1, ready=False), endpoint(3)), [first, second], FRAME, 100)
    assert [s["metadata"]["name"] for s in made.update] == ["a"]
    assert made.update[0]["endpoints"] == [endpoint(1, ready=False)]
    assert not made.create
    assert not made.delete


def test_last_endpoint_gone_keeps_a_placeholder() -> None:
    made = plan({}, [existing("a", endpoint(1))], FRAME, 100)
    assert [s["metadata"]["name"] for s in made.update] == ["a"]
    assert made.update[0]["endpoints"] == []
    assert made.update[0]["ports"] is None
