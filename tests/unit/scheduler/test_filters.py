"""Each filter lets through what it should, and says why not in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.scheduler.explain import explain
from tests.unit.scheduler.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_no_nodes(cluster: Cluster) -> None:
    assert cluster.schedule(cluster.pod()) == "no nodes available to schedule pods"


def test_resources_fill_up_exactly(cluster: Cluster) -> None:
    cluster.node("a", cpu="1", memory="1000001Ki")
    assert cluster.schedule(cluster.pod(cpu="600m", memory="1000000Ki")) == "a"
    assert cluster.schedule(cluster.pod(cpu="400m", memory="1Ki")) == "a"
    message = cluster.schedule(cluster.pod(cpu="1m", memory="1"))
    assert message == "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."


def test_a_removed_pod_gives_its_room_back(cluster: Cluster) -> None:
    cluster.node("a", cpu="1")
    first = cluster.pod(cpu="1")
    assert cluster.schedule(first) == "a"
    assert "Insufficient cpu" in cluster.schedule(cluster.pod(cpu="1"))
    cluster.state.forget(first.key)
    assert cluster.schedule(cluster.pod(cpu="1")) == "a"


def test_number_of_pods_and_extended_resources(cluster: Cluster) -> None:
    gpu: dict[str, Any] = {"example.com/gpu": "1"}
    cluster.node("a", pods="1", **gpu)
    cluster.node("b", pods="5")
    containers = [{"name": "c", "image": "x", "resources": {"requests": {"example.com/gpu": "1"}}}]
    assert cluster.schedule(cluster.pod(containers=containers)) == "a"
    message = cluster.schedule(cluster.pod(containers=containers))
    assert message == ("0/2 nodes are available: 1 Too many pods, 2 Insufficient example.com/gpu.")


def test_taints_and_unschedulable(cluster: Cluster) -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    cluster.node("a", taints=[taint])
    cluster.node("b", unschedulable=True)
    assert cluster.schedule(cluster.pod()) == (
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."
    )
    tolerations = [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]
    assert cluster.schedule(cluster.pod(tolerations=tolerations)) == "a"
    cordoned = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]
    assert cluster.schedule(cluster.pod(tolerations=cordoned)) == "b"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, "b"),
        ({"terms": [{"matchExpressions": [{"key": "n", "operator": "Gt", "values": ["5"]}]}]}, "b"),
        ({"terms": [{"matchExpressions": [{"key": "disk", "operator": "DoesNotExist"}]}]}, "a"),
        (
            {"terms": [{"matchExpressions": [{"key": "n", "operator": "NotIn", "values": ["9"]}]}]},
            "a",
        ),
        (
            {
                "terms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
                ]
            },
            "b",
        ),
    ],
)
def test_node_affinity(cluster: Cluster, spec: dict[str, Any], expected: str) -> None:
    cluster.node("a", labels={"n": "3"})
    cluster.node("b", labels={"n": "9", "disk": "ssd"})
    if "terms" in spec:
        required = {"nodeSelectorTerms": spec["terms"]}
        spec = {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
            }
        }
    assert cluster.schedule(cluster.pod(**spec)) == expected


def test_selector_message_and_label_change(cluster: Cluster) -> None:
    cluster.node("a")
    pod = cluster.pod(nodeSelector={"disk": "ssd"})
    assert cluster.schedule(pod) == (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    )
    cluster.node("a", labels={"disk": "ssd"})
    assert cluster.schedule(pod) == "a"


def test_host_ports(cluster: Cluster) -> None:
    cluster.node("a")

    def with_port(**port: Any) -> list[dict[str, Any]]:
        return [
            {"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 8080, **port}]}
        ]

    assert cluster.schedule(cluster.pod(containers=with_port(hostIP="127.0.0.1"))) == "a"
    assert cluster.schedule(cluster.pod(containers=with_port(hostIP="127.0.0.2"))) == "a"
    assert cluster.schedule(cluster.pod(containers=with_port(protocol="UDP"))) == "a"
    assert cluster.schedule(cluster.pod(containers=with_port())) == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )


def spread(key: str, skew: int = 1, **more: Any) -> list[dict[str, Any]]:
    selector = {"matchLabels": {"app": "web"}}
    return [
        {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule",
         "labelSelector": selector, **more}
    ]  # fmt: skip


def test_topology_spread(cluster: Cluster) -> None:
    for name, zone in (("a", "x"), ("b", "x"), ("c", "y")):
        cluster.node(name, labels={"zone": zone})
    cluster.node("d")
    pods = [
        cluster.pod(labels={"app": "web"}, topologySpreadConstraints=spread("zone"))
        for _ in range(6)
    ]
    nodes = [cluster.schedule(pod) for pod in pods]
    zones = ["y" if node == "c" else "x" for node in nodes]
    assert zones.count("x") == zones.count("y") == 3
    cluster.node("c", labels={"zone": "y"}, unschedulable=True)
    last = [
        cluster.pod(labels={"app": "web"}, topologySpreadConstraints=spread("zone"))
        for _ in range(2)
    ]
    assert cluster.schedule(last[0]) in ("a", "b")
    assert cluster.schedule(last[1]) == (
        "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints "
        "(missing required label), 1 node(s) were unschedulable, "
        "2 node(s) didn't match pod topology spread constraints."
    )


def test_minimum_of_domains(cluster: Cluster) -> None:
    cluster.node("a", labels={"zone": "x"})
    constraints = spread("zone", minDomains=2)
    assert (
        cluster.schedule(cluster.pod(labels={"app": "web"}, topologySpreadConstraints=constraints))
        == "a"
    )
    second = cluster.pod(labels={"app": "web"}, topologySpreadConstraints=constraints)
    assert "topology spread constraints" in cluster.schedule(second)


def near(kind: str, app: str, key: str = "zone") -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def test_pod_affinity(cluster: Cluster) -> None:
    for name, zone in (("a", "x"), ("b", "y")):
        cluster.node(name, labels={"zone": zone})
    lonely = cluster.pod(**near("podAffinity", "db"))
    assert cluster.schedule(lonely) == (
        "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."
    )
    # The first of its own kind may go anywhere; the next must follow it.
    first = cluster.schedule(cluster.pod(labels={"app": "db"}, **near("podAffinity", "db")))
    assert first in ("a", "b")
    assert cluster.schedule(cluster.pod(labels={"app": "db"}, **near("podAffinity", "db"))) == first
    assert cluster.schedule(lonely) == first


def test_pod_anti_affinity_works_both_ways(cluster: Cluster) -> None:
    cluster.node("a", labels={"zone": "x"})
    cluster.node("b", labels={"zone": "y"})
    guard = cluster.schedule(cluster.pod(labels={"app": "db"}, **near("podAntiAffinity", "web")))
    web = cluster.schedule(cluster.pod(labels={"app": "web"}))
    assert {guard, web} == {"a", "b"}
    other = cluster.pod(labels={"app": "web"}, **near("podAntiAffinity", "web"))
    assert cluster.schedule(other) == (
        "0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules, "
        "1 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_affinity_looks_into_selected_namespaces_only(cluster: Cluster) -> None:
    cluster.node("a")
    cluster.state.set_namespace("other", {"team": "red"})
    cluster.schedule(cluster.pod(namespace="other", labels={"app": "db"}))
    spec = near("podAffinity", "db", "kubernetes.io/hostname")
    assert "affinity rules" in cluster.schedule(cluster.pod(**spec))
    term = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    term["namespaceSelector"] = {"matchLabels": {"team": "red"}}
    assert cluster.schedule(cluster.pod(**spec)) == "a"


def claim(name: str, volume: str = "", storage_class: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"u-{name}"},
        "spec": {
            "volumeName": volume,
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Bound" if volume else "Pending"},
    }


def volume(name: str, node: str, storage_class: str = "") -> dict[str, Any]:
    match = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [match]}]}
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "nodeAffinity": {"required": terms},
        },
        "status": {"phase": "Available"},
    }


def with_claim(name: str) -> list[dict[str, Any]]:
    return [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]


def test_volumes(cluster: Cluster) -> None:
    cluster.node("a")
    cluster.node("b")
    pod = cluster.pod(volumes=with_claim("data"))
    assert cluster.schedule(pod) == (
        '0/2 nodes are available: persistentvolumeclaim "data" not found.'
    )
    cluster.claims.objects = [claim("data")]
    assert cluster.schedule(pod) == (
        "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    )
    cluster.claims.objects = [claim("data", "disk")]
    cluster.volumes.objects = [volume("disk", "b")]
    assert cluster.schedule(pod) == "b"
    cluster.volumes.objects = [volume("disk", "c")]
    assert cluster.schedule(cluster.pod(volumes=with_claim("data"))) == (
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."
    )


def test_volumes_that_wait_for_their_first_consumer(cluster: Cluster) -> None:
    cluster.node("a")
    cluster.node("b")
    local = {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner",
             "volumeBindingMode": "WaitForFirstConsumer"}  # fmt: skip
    cluster.classes.objects = [local]
    cluster.claims.objects = [claim("data", storage_class="local")]
    pod = cluster.pod(volumes=with_claim("data"))
    assert cluster.schedule(pod) == (
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."
    )
    cluster.volumes.objects = [volume("disk", "b", "local")]
    assert cluster.schedule(pod) == "b"
    plan = cluster.volume_plugin.plan(pod, cluster.state.matrix.nodes["b"])
    assert plan is not None
    assert [found["metadata"]["name"] for found, _ in plan.static] == ["disk"]
    local["provisioner"] = "example.com/disks"
    plan = cluster.volume_plugin.plan(pod, cluster.state.matrix.nodes["a"])
    assert plan is not None
    assert len(plan.provision) == 1


def test_explain_names_filter_and_reason(cluster: Cluster) -> None:
    cluster.node("a", cpu="1")
    cluster.node("b", unschedulable=True)
    cluster.node("c")
    verdicts = explain(cluster.evaluator, cluster.state.matrix, cluster.pod(cpu="2"))
    assert [v.node for v in verdicts] == ["c", "a", "b"]
    assert verdicts[0].score is not None
    assert verdicts[1].refusals == (("NodeResourcesFit", "Insufficient cpu"),)
    assert verdicts[2].refusals == (("NodeUnschedulable", "node(s) were unschedulable"),)
