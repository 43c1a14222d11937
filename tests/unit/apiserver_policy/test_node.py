"""Node authorizer and NodeRestriction: kubelets get at what their pods use, and write their own."""

from __future__ import annotations

import pytest

from kubeinstall.apiserver.admission.node_restriction import NodeRestriction
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.request import DELETE, UPDATE, Attributes, User
from kubeinstall.errors import Forbidden
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write

N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))


@pytest.fixture
def registry() -> MemoryRegistry:
    found = MemoryRegistry()
    found.put(
        "pods",
        pod(
            nodeName="n1",
            serviceAccountName="sa",
            volumes=[
                {"name": "s", "secret": {"secretName": "vol"}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
            ],
            containers=[
                {"name": "c", "envFrom": [{"configMapRef": {"name": "env"}}]},
            ],
        ),
    )
    found.put("pods", pod("other", nodeName="n2", imagePullSecrets=[{"name": "pull"}]))
    found.put(
        "persistentvolumes",
        {
            "metadata": {"name": "pv"},
            "spec": {
                "claimRef": {"namespace": "ns", "name": "claim"},
                "csi": {"nodePublishSecretRef": {"name": "csi", "namespace": "store"}},
            },
        },
    )
    return found


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "allowed"),
    [
        ("get", "secrets", "ns", "vol", True),
        ("get", "secrets", "ns", "pull", False),
        ("update", "secrets", "ns", "vol", False),
        ("get", "secrets", "store", "csi", True),
        ("watch", "configmaps", "ns", "env", True),
        ("list", "configmaps", "ns", "", False),
        ("get", "persistentvolumeclaims", "ns", "claim", True),
        ("get", "persistentvolumes", "", "pv", True),
        ("get", "pods", "ns", "p", True),
        ("get", "pods", "ns", "other", False),
        ("get", "nodes", "", "n1", True),
        ("get", "nodes", "", "n2", False),
        ("list", "services", "", "", True),
        ("create", "services", "ns", "", False),
    ],
)
def test_reads(
    registry: MemoryRegistry, verb: str, resource: str, namespace: str, name: str, allowed: bool
) -> None:
    asked = Attributes(N1, verb, resource=resource, namespace=namespace, name=name)
    assert Authorizer(registry).authorize(asked).allowed is allowed


def test_pods_are_listed_by_node_only(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    own = Attributes(N1, "list", resource="pods", field_selector="spec.nodeName=n1")
    assert authorizer.authorize(own).allowed
    foreign = own._replace(field_selector="spec.nodeName=n2")
    assert authorizer.authorize(foreign).reason == (
        "can only list/watch pods with spec.nodeName field selector"
    )


def test_a_pod_that_goes_takes_its_secrets_along(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    asked = Attributes(N1, "get", resource="secrets", namespace="ns", name="vol")
    assert authorizer.authorize(asked).allowed
    registry.put(
        "pods",
        pod("second", nodeName="n1", volumes=[{"name": "s", "secret": {"secretName": "vol"}}]),
    )
    registry.objects[("", "pods")].pop(("ns", "p"))
    for callback in registry.observers[("", "pods")]:
        callback(pod(nodeName="n1", volumes=[{"name": "s", "secret": {"secretName": "vol"}}]), None)
    assert authorizer.authorize(asked).allowed
    second = registry.objects[("", "pods")].pop(("ns", "second"))
    for callback in registry.observers[("", "pods")]:
        callback(second, None)
    assert authorizer.authorize(asked).reason == (
        "no relationship found between node 'n1' and this object"
    )


def test_secrets_of_volumes_go_with_the_volume(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    asked = Attributes(N1, "get", resource="secrets", namespace="store", name="csi")
    assert authorizer.authorize(asked).allowed
    registry.put("persistentvolumes", {"metadata": {"name": "pv"}, "spec": {}})
    assert not authorizer.authorize(asked).allowed


def test_leases(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    lease = Attributes(
        N1,
        "update",
        "coordination.k8s.io",
        resource="leases",
        namespace="kube-node-lease",
        name="n1",
    )
    assert authorizer.authorize(lease).allowed
    assert not authorizer.authorize(lease._replace(name="n2")).allowed
    assert not authorizer.authorize(lease._replace(namespace="default")).allowed


async def test_restriction_of_nodes(registry: MemoryRegistry) -> None:
    plugin = NodeRestriction(registry, Authorizer(registry))
    node = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}, "spec": {}}
    await plugin.mutate(write("nodes", node, namespace="", user=N1))
    with pytest.raises(Forbidden, match='node "n1" is not allowed to modify node "n2"'):
        await plugin.mutate(write("nodes", {"metadata": {"name": "n2"}}, namespace="", user=N1))
    labelled = {
        "metadata": {"name": "n1", "labels": {"node-restriction.kubernetes.io/x": "1"}},
        "spec": {},
    }
    with pytest.raises(Forbidden, match="is not allowed to modify labels: node-restriction"):
        await plugin.mutate(
            write("nodes", labelled, namespace="", user=N1, operation=UPDATE, old=node)
        )
    tainted = {"metadata": node["metadata"], "spec": {"taints": [{"key": "a"}]}}
    with pytest.raises(Forbidden, match="not allowed to modify taints"):
        await plugin.mutate(
            write("nodes", tainted, namespace="", user=N1, operation=UPDATE, old=node)
        )
    await plugin.mutate(
        write("nodes", tainted, namespace="", user=User("admin"), operation=UPDATE, old=node)
    )


async def test_restriction_of_pods(registry: MemoryRegistry) -> None:
    plugin = NodeRestriction(registry, Authorizer(registry))
    with pytest.raises(Forbidden, match="can only create mirror pods"):
        await plugin.mutate(write("pods", pod("x", nodeName="n1"), user=N1))
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u", "controller": True}
    registry.put("nodes", {"metadata": {"name": "n1", "uid": "u"}})
    mirror = pod("x", nodeName="n1")
    mirror["metadata"] |= {
        "annotations": {"kubernetes.io/config.mirror": "h"},
        "ownerReferences": [owner],
    }
    await plugin.mutate(write("pods", mirror, user=N1))
    mirror["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": "x"}}]
    with pytest.raises(Forbidden, match="can not create pods that reference secrets"):
        await plugin.mutate(write("pods", mirror, user=N1))
    await plugin.mutate(write("pods", pod(), user=N1, operation=DELETE))
    with pytest.raises(Forbidden, match="can only delete pods"):
        await plugin.mutate(write("pods", pod("other"), user=N1, operation=DELETE))
