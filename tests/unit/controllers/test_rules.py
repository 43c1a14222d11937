"""Small rules that controllers decide by."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from kubeinstall.controllers import registry
from kubeinstall.controllers.common import hashing, node_affinity, pods, taints
from kubeinstall.controllers.common.intstr import scaled
from kubeinstall.controllers.daemonset import nodes as daemon_nodes
from kubeinstall.controllers.job import failures, indexes
from kubeinstall.controllers.nodes.ipam import CidrSet
from kubeinstall.controllers.quota.usage import of_pod
from kubeinstall.errors import SettingsError


def pod(name: str, *, node: str = "", ready: bool = False, **meta: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": "Running" if node else "Pending"}
    if ready:
        since = "2026-01-01T00:00:00Z"
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    made = {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", **meta}
    return {"metadata": made, "spec": {"nodeName": node}, "status": status}


def test_percentages() -> None:
    assert scaled("25%", 10, round_up=True) == 3
    assert scaled("25%", 10, round_up=False) == 2
    assert scaled("25%", 12, round_up=True) == 3
    assert scaled(5, 1, round_up=True) == 5
    with pytest.raises(ValueError, match="percentage"):
        scaled("5", 1, round_up=True)


def test_hash_is_stable_safe_and_changes_with_collisions() -> None:
    template = {"spec": {"b": 1, "a": 2}}
    assert hashing.compute(template) == hashing.compute({"spec": {"a": 2, "b": 1}})
    assert hashing.compute(template, 1) != hashing.compute(template)
    assert set(hashing.compute(template)) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert hashing.fnv32a(b"hello") == 0x4F9F2CAB


def test_deletion_order() -> None:
    cheap = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    listed = [
        pod("good", node="n1", ready=True),
        pod("unready", node="n2"),
        pod("crowded", node="n3", ready=True),
        pod("crowded2", node="n3", ready=True),
        pod("unassigned"),
        pod("cheap", node="n4", ready=True, annotations=cheap),
    ]
    names = [p["metadata"]["name"] for p in pods.deletion_order(listed, listed)]
    assert names[:3] == ["unassigned", "unready", "cheap"]
    assert set(names[3:5]) == {"crowded", "crowded2"}
    assert names[5] == "good"


def test_index_texts() -> None:
    assert indexes.text([0, 1, 2, 5, 7, 8]) == "0-2,5,7,8"
    assert indexes.parse("0-2,5,9", 6) == {0, 1, 2, 5}
    assert indexes.text([]) == ""


def test_tolerations() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoExecute"}
    assert taints.tolerates({"operator": "Exists"}, taint)
    assert taints.tolerates({"key": "k", "value": "v"}, taint)
    assert not taints.tolerates({"key": "k", "value": "x"}, taint)
    assert not taints.tolerates({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, taint)


def test_node_selectors() -> None:
    node = {"metadata": {"name": "n", "labels": {"zone": "a", "size": "4"}}}

    def required(*expressions: dict[str, Any]) -> dict[str, Any]:
        terms = [{"matchExpressions": list(expressions)}]
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        return {"affinity": {"nodeAffinity": rule}}

    assert node_affinity.matches({"nodeSelector": {"zone": "a"}}, node)
    assert not node_affinity.matches({"nodeSelector": {"zone": "b"}}, node)
    assert node_affinity.matches(required({"key": "size", "operator": "Gt", "values": ["3"]}), node)
    assert not node_affinity.matches(
        required({"key": "zone", "operator": "NotIn", "values": ["a"]}), node
    )
    assert not node_affinity.matches(required(), node)


def test_daemon_pods_are_pinned_and_tolerate() -> None:
    spec: dict[str, Any] = {"containers": []}
    daemon_set = {
        "metadata": {"name": "d", "namespace": "n", "uid": "u"},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}},
    }
    made = daemon_nodes.new_pod(daemon_set, "node-1", "hash")
    assert daemon_nodes.target_node(made) == "node-1"
    assert made["metadata"]["labels"] == {"a": "b", "controller-revision-hash": "hash"}
    assert len(made["spec"]["tolerations"]) == 6
    cordoned = {
        "metadata": {"name": "x"},
        "spec": {"taints": [{"key": taints.UNSCHEDULABLE, "effect": "NoSchedule"}]},
    }
    assert daemon_nodes.fits(daemon_set, cordoned) == (True, True)
    special = {
        "metadata": {"name": "x"},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
    }
    assert daemon_nodes.fits(daemon_set, special) == (False, True)


def test_pod_failure_policy() -> None:
    ended = {"name": "main", "state": {"terminated": {"exitCode": 42}}}
    failed = {
        "metadata": {"name": "p", "namespace": "n"},
        "status": {"containerStatuses": [ended]},
    }
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    verdict = failures.judge({"rules": [rule]}, failed)
    assert verdict.action == "FailJob"
    assert verdict.message == (
        "Container main for pod n/p failed with exit code 42 matching FailJob rule at index 0"
    )
    ignore = {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [1]}}
    assert not failures.counts({"rules": [ignore]}, failed)
    assert failures.counts(None, failed)


def test_cidr_set_goes_round_and_fills_up() -> None:
    cidrs = CidrSet(ipaddress.ip_network("10.0.0.0/22"), 24)
    first, second = cidrs.allocate(), cidrs.allocate()
    assert (str(first), str(second)) == ("10.0.0.0/24", "10.0.1.0/24")
    assert first is not None
    cidrs.release(first)
    assert str(cidrs.allocate()) == "10.0.2.0/24"
    cidrs.occupy(ipaddress.ip_network("10.0.3.128/25"))
    assert str(cidrs.allocate()) == "10.0.0.0/24"
    assert cidrs.allocate() is None
    with pytest.raises(SettingsError):
        CidrSet(ipaddress.ip_network("10.0.0.0/8"), 26)


def test_pod_usage() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}, "limits": {"memory": "1Gi"}}, **more}

    spec = {
        "containers": [container("100m"), container("200m")],
        "initContainers": [container("50m", restartPolicy="Always"), container("1")],
        "overhead": {"cpu": "10m"},
    }
    used = of_pod({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Running"}})
    assert str(used["requests.cpu"]) == "1060m"
    assert str(used["pods"]) == "1"
    assert str(used["limits.memory"]) == "3Gi"
    ended = of_pod({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Failed"}})
    assert set(ended) == {"count/pods"}


def test_controller_choice() -> None:
    names = [entry.name for entry in registry.enabled(["*", "-job-controller"])]
    assert "job-controller" not in names
    assert names[-1] == "garbage-collector-controller"
    assert [e.name for e in registry.enabled(["job-controller"])] == ["job-controller"]
    with pytest.raises(SettingsError, match="no controller nonsense"):
        registry.enabled(["*", "-nonsense"])


def test_every_controller_loads_under_its_name() -> None:
    for entry in registry.ENTRIES:
        assert entry.load().name == entry.name
