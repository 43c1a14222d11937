"""Plug-ins that are off by default."""

from __future__ import annotations

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.optional import AlwaysPullImages, ExtendedResourceToleration
from kubeinstall.apiserver.admission.tenancy import (
    LimitPodHardAntiAffinityTopology,
    NamespaceAutoProvision,
    OwnerReferencesPermissionEnforcement,
    PodNodeSelector,
    PodTolerationRestriction,
)
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP, kind
from kubeinstall.errors import Forbidden
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write


def annotated(**annotations: str) -> MemoryRegistry:
    registry = MemoryRegistry()
    prefix = "scheduler.alpha.kubernetes.io/"
    named = {f"{prefix}{name.replace('_', '-')}": text for name, text in annotations.items()}
    registry.put("namespaces", {"metadata": {"name": "ns", "annotations": named}})
    return registry


async def test_node_selector() -> None:
    plugin = PodNodeSelector(annotated(node_selector="disk=ssd, zone=a"))
    wanted = pod(nodeSelector={"x": "y"})
    await plugin.mutate(write("pods", wanted))
    assert wanted["spec"]["nodeSelector"] == {"x": "y", "disk": "ssd", "zone": "a"}
    with pytest.raises(Forbidden, match="conflicts with its namespace node label selector"):
        await plugin.mutate(write("pods", pod(nodeSelector={"disk": "hdd"})))


async def test_tolerations() -> None:
    allowed = '[{"key": "gpu", "operator": "Exists"}]'
    plugin = PodTolerationRestriction(
        annotated(defaultTolerations='[{"key": "gpu", "value": "1"}]', tolerationsWhitelist=allowed)
    )
    wanted = pod()
    await plugin.mutate(write("pods", wanted))
    assert wanted["spec"]["tolerations"] == [{"key": "gpu", "value": "1"}]
    await plugin.validate(write("pods", wanted))
    with pytest.raises(Forbidden, match="conflict with its namespace whitelist"):
        await plugin.validate(write("pods", pod(tolerations=[{"key": "other"}])))


async def test_namespaces_appear() -> None:
    registry = MemoryRegistry()
    plugin = NamespaceAutoProvision(registry)
    await plugin.mutate(write("pods", pod(), namespace="new", dry_run=True))
    assert registry.list(kind("namespaces")) == []
    await plugin.mutate(write("pods", pod(), namespace="new"))
    assert registry.get(kind("namespaces"), "new")


async def test_anti_affinity() -> None:
    plugin = LimitPodHardAntiAffinityTopology()

    def keeping_away_from(key: str) -> Object:
        terms = [{"topologyKey": key}]
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        return pod(affinity={"podAntiAffinity": affinity})

    await plugin.validate(write("pods", keeping_away_from("kubernetes.io/hostname")))
    with pytest.raises(Forbidden, match="has TopologyKey zone but only key"):
        await plugin.validate(write("pods", keeping_away_from("zone")))


async def test_owners() -> None:
    registry = MemoryRegistry()
    plugin = OwnerReferencesPermissionEnforcement(Authorizer(registry))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"}
    owned = {"metadata": {"name": "c", "ownerReferences": [owner]}}
    await plugin.validate(write("configmaps", {"metadata": {"name": "c"}}))
    with pytest.raises(Forbidden, match="cannot set an ownerRef on a resource you can't delete"):
        await plugin.validate(write("configmaps", owned))
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}
    registry.put("clusterroles", {"metadata": {"name": "r"}, "rules": [rule]}, RBAC_GROUP)
    registry.put(
        "clusterrolebindings",
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "name": "someone"}],
        },
        RBAC_GROUP,
    )
    await plugin.validate(write("configmaps", owned))
    owned["metadata"]["ownerReferences"] = [{**owner, "blockOwnerDeletion": True}]
    with pytest.raises(Forbidden, match="you can't set finalizers on"):
        await plugin.validate(write("configmaps", owned))


async def test_images_and_devices() -> None:
    wanted = pod(
        containers=[{"name": "c", "resources": {"requests": {"example.com/gpu": "1", "cpu": "1"}}}]
    )
    await AlwaysPullImages().mutate(write("pods", wanted))
    await ExtendedResourceToleration().mutate(write("pods", wanted))
    assert wanted["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert wanted["spec"]["tolerations"] == [{"key": "example.com/gpu", "operator": "Exists"}]
