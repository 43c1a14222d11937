"""Among nodes that fit, the better one wins; and kept verdicts say what fresh ones would."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from kubeinstall.scheduler.local import LocalPlugins
from tests.unit.scheduler.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_least_allocated_wins(cluster: Cluster) -> None:
    cluster.node("a", cpu="4")
    cluster.node("b", cpu="4")
    first = cluster.schedule(cluster.pod(cpu="1", memory="1Gi"))
    second = cluster.schedule(cluster.pod(cpu="1", memory="1Gi"))
    assert {first, second} == {"a", "b"}


def test_soft_taints_and_preferences(cluster: Cluster) -> None:
    cluster.node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    cluster.node("b")
    assert {cluster.choose(cluster.pod()).node for _ in range(20)} == {"b"}
    preference = {
        "weight": 100,
        "preference": {
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]
        },
    }
    tolerant: dict[str, Any] = {
        "tolerations": [{"operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}
        },
    }
    assert {cluster.choose(cluster.pod(**tolerant)).node for _ in range(20)} == {"a"}


def test_images_that_are_there_already(cluster: Cluster) -> None:
    big = [{"names": ["busybox:latest"], "sizeBytes": 900 * 1024 * 1024}]
    cluster.node("a", images=big)
    cluster.node("b")
    assert {cluster.choose(cluster.pod()).node for _ in range(20)} == {"a"}


def test_pods_of_a_replica_set_spread_over_hosts_and_zones(cluster: Cluster) -> None:
    for index in range(6):
        cluster.node(f"n{index}", labels={"topology.kubernetes.io/zone": f"z{index % 3}"})
    cluster.replica_sets.objects = [
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
        }
    ]
    owners = [{"kind": "ReplicaSet", "name": "web", "controller": True}]
    nodes = [cluster.schedule(cluster.pod(labels={"app": "web"}, owners=owners)) for _ in range(6)]
    assert len(set(nodes)) == 6
    assert len({int(node[1]) % 3 for node in nodes[:3]}) == 3


def test_preferred_pod_affinity(cluster: Cluster) -> None:
    for name in ("a", "b", "c"):
        cluster.node(name)
    home = cluster.schedule(cluster.pod(labels={"app": "db"}))
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "db"}},
    }
    weighted = [{"weight": 100, "podAffinityTerm": term}]
    key = "preferredDuringSchedulingIgnoredDuringExecution"
    drawn = cluster.pod(affinity={"podAffinity": {key: weighted}})
    assert {cluster.choose(drawn).node for _ in range(10)} == {home}
    repelled = cluster.pod(affinity={"podAntiAffinity": {key: weighted}})
    assert home not in {cluster.choose(repelled).node for _ in range(10)}


def test_kept_verdicts_equal_fresh_ones(cluster: Cluster) -> None:
    """Random changes; after each, the incrementally kept columns are what a new cache computes."""
    chance = random.Random(5)
    names = [f"n{index}" for index in range(80)]
    for name in names:
        cluster.node(name, cpu=str(chance.randint(1, 8)))
    shapes: list[dict[str, Any]] = [
        {"cpu": "500m"},
        {"cpu": "1", "memory": "1Gi", "nodeSelector": {"disk": "ssd"}},
        {"tolerations": [{"key": "k", "operator": "Exists"}]},
    ]
    placed = []
    for _ in range(300):
        action = chance.random()
        if action < 0.6:
            pod = cluster.pod(**chance.choice(shapes))
            if cluster.choose(pod).node:
                cluster.schedule(pod)
                placed.append(pod)
        elif action < 0.8 and placed:
            cluster.state.forget(placed.pop(chance.randrange(len(placed))).key)
        else:
            labels = {"disk": chance.choice(["ssd", "hdd"])}
            taints = chance.choice([[], [{"key": "k", "effect": "NoSchedule"}]])
            cluster.node(chance.choice(names), labels=labels, taints=taints)
        if chance.random() < 0.1:
            cluster.state.remove_node(chance.choice(names))
        for shape in shapes:
            pod = cluster.pod(**shape)
            kept = cluster.evaluator._local.verdict(pod)
            fresh = LocalPlugins(cluster.state.matrix).verdict(pod)
            assert np.array_equal(kept.ok, fresh.ok)
            rows = kept.ok
            assert np.array_equal(kept.resources[rows], fresh.resources[rows])
