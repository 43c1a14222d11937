"""Policies become chains and sets that depend on what they say, not on how many pods there are."""

from __future__ import annotations

from typing import Any

from kubeinstall.podnet.policy.compile import compile_policies
from kubeinstall.podnet.policy.model import Cluster, Pod, parse_pod


def pod(name: str, address: str, node: str = "here", **labels: str) -> Pod:
    return Pod("default", name, node, labels, (address,), ())


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"podSelector": {}, **spec}}


def test_pods_with_the_same_policies_share_a_chain() -> None:
    pods = [pod(f"p{i}", f"10.0.0.{i}") for i in range(1, 9)]
    wanted = compile_policies([policy("deny")], Cluster(pods, {}), "here", "ip")
    assert len(set(wanted.sets["pods-ingress"].values())) == 1
    assert len(wanted.chains) == 2
    assert wanted.sets["pods-egress"] == {}


def test_only_pods_of_this_node_and_family_are_subjects() -> None:
    pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "elsewhere"), pod("c", "fd00::1")]
    wanted = compile_policies([policy("deny")], Cluster(pods, {}), "here", "ip")
    assert set(wanted.sets["pods-ingress"]) == {"10.0.0.1"}
    wanted = compile_policies([policy("deny")], Cluster(pods, {}), "here", "ip6")
    assert set(wanted.sets["pods-ingress"]) == {"fd00::1"}


def test_policy_types_default_as_upstream() -> None:
    pods = [pod("a", "10.0.0.1")]
    both = compile_policies([policy("x", egress=[{}])], Cluster(pods, {}), "here", "ip")
    assert both.sets["pods-egress"]
    assert both.sets["pods-ingress"]


def test_pods_without_an_address_of_their_own_do_not_count() -> None:
    meta = {"name": "a", "namespace": "d"}
    running = {"podIPs": [{"ip": "10.0.0.1"}], "phase": "Running"}
    assert parse_pod({"metadata": meta, "spec": {}, "status": running}) is not None
    assert parse_pod({"metadata": meta, "spec": {"hostNetwork": True}, "status": running}) is None
    assert parse_pod({"metadata": meta, "status": {**running, "phase": "Failed"}}) is None
    assert parse_pod({"metadata": meta, "status": {}}) is None
