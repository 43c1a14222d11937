"""Admission plug-ins: what they fill in and what they refuse, in upstream's words."""

from __future__ import annotations

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.chain import Chain, enabled_names
from kubeinstall.apiserver.admission.defaults import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kubeinstall.apiserver.admission.limits import LimitRanger
from kubeinstall.apiserver.admission.namespaces import NamespaceLifecycle
from kubeinstall.apiserver.admission.pods import DefaultTolerationSeconds, Priority, RuntimeClass
from kubeinstall.apiserver.admission.service_accounts import ServiceAccount
from kubeinstall.apiserver.request import DELETE, UPDATE, AdmissionAttributes
from kubeinstall.errors import Forbidden, NotFound, SettingsError
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write


@pytest.fixture
def registry() -> MemoryRegistry:
    found = MemoryRegistry()
    found.put("namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Active"}})
    return found


def message(caught: pytest.ExceptionInfo[Forbidden]) -> str:
    return caught.value.message


async def test_namespaces(registry: MemoryRegistry) -> None:
    plugin = NamespaceLifecycle(registry)
    obj = {"metadata": {"name": "x"}}
    await plugin.mutate(write("configmaps", obj))
    with pytest.raises(NotFound, match='namespaces "gone" not found'):
        await plugin.mutate(write("configmaps", obj, namespace="gone"))
    registry.put("namespaces", {"metadata": {"name": "end"}, "status": {"phase": "Terminating"}})
    with pytest.raises(Forbidden) as caught:
        await plugin.mutate(write("configmaps", obj, namespace="end"))
    assert message(caught) == (
        'configmaps "x" is forbidden: unable to create new content in namespace end because it is '
        "being terminated"
    )
    assert caught.value.details == {
        "name": "x",
        "kind": "configmaps",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace end is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }
    await plugin.mutate(write("configmaps", obj, namespace="end", operation=UPDATE))
    default = {"metadata": {"name": "default"}}
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await plugin.mutate(write("namespaces", default, namespace="default", operation=DELETE))


LIMITS = {
    "metadata": {"name": "l", "namespace": "ns"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "default": {"cpu": "500m", "memory": "512Mi"},
                "defaultRequest": {"cpu": "100m"},
                "max": {"cpu": "2"},
                "min": {"memory": "10Mi"},
                "maxLimitRequestRatio": {"cpu": "10"},
            },
            {"type": "Pod", "max": {"cpu": "3"}},
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}},
        ]
    },
}


async def test_limit_defaults(registry: MemoryRegistry) -> None:
    registry.put("limitranges", LIMITS)
    wanted = pod()
    await LimitRanger(registry).mutate(write("pods", wanted))
    assert wanted["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }
    assert wanted["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; "
        "cpu, memory limit for container c"
    }


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (
            {"limits": {"cpu": "4", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            (
                "[maximum cpu usage per Container is 2, but limit is 4, "
                "maximum cpu usage per Pod is 3, but limit is 4]"
            ),
        ),
        (
            {"limits": {"cpu": "1"}, "requests": {"cpu": "1", "memory": "1Mi"}},
            "minimum memory usage per Container is 10Mi, but request is 1Mi",
        ),
        (
            {"limits": {"cpu": "2"}, "requests": {"cpu": "100m", "memory": "1Gi"}},
            "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000",
        ),
        (
            {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "minimum memory usage per Container is 10Mi.  No request is specified",
        ),
    ],
)
async def test_limits_are_enforced(registry: MemoryRegistry, resources: Object, told: str) -> None:
    registry.put("limitranges", LIMITS)
    wanted = pod(containers=[{"name": "c", "resources": resources}])
    with pytest.raises(Forbidden) as caught:
        await LimitRanger(registry).validate(write("pods", wanted))
    assert message(caught) == f'pods "p" is forbidden: {told}'


async def test_claim_limits(registry: MemoryRegistry) -> None:
    registry.put("limitranges", LIMITS)
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "6Gi"}}}}
    with pytest.raises(Forbidden) as caught:
        await LimitRanger(registry).validate(write("persistentvolumeclaims", claim))
    assert message(caught).endswith(
        "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"
    )


async def test_service_account(registry: MemoryRegistry) -> None:
    registry.put(
        "serviceaccounts",
        {
            "metadata": {"name": "default", "namespace": "ns"},
            "imagePullSecrets": [{"name": "pull"}],
        },
    )
    wanted = pod(
        initContainers=[
            {
                "name": "i",
                "volumeMounts": [
                    {"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
                ],
            }
        ]
    )
    await ServiceAccount(registry).mutate(write("pods", wanted))
    spec = wanted["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    name = spec["volumes"][0]["name"]
    assert name.startswith("kube-api-access-")
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": name,
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    assert len(spec["initContainers"][0]["volumeMounts"]) == 1
    sources = spec["volumes"][0]["projected"]["sources"]
    assert [next(iter(source)) for source in sources] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    silent = pod(automountServiceAccountToken=False)
    await ServiceAccount(registry).mutate(write("pods", silent))
    assert "volumes" not in silent["spec"]


async def test_missing_service_account(registry: MemoryRegistry) -> None:
    with pytest.raises(Forbidden) as caught:
        await ServiceAccount(registry).mutate(write("pods", pod(serviceAccountName="x")))
    assert message(caught) == (
        'pods "p" is forbidden: error looking up service account ns/x: serviceaccount "x" not found'
    )


async def test_mountable_secrets(registry: MemoryRegistry) -> None:
    registry.put(
        "serviceaccounts",
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"},
            },
            "secrets": [{"name": "fine"}],
        },
    )
    wanted = pod(serviceAccountName="s", volumes=[{"name": "v", "secret": {"secretName": "other"}}])
    with pytest.raises(Forbidden, match=r'volume with secret.secretName="other" is not allowed'):
        await ServiceAccount(registry).validate(write("pods", wanted))


async def test_priority(registry: MemoryRegistry) -> None:
    plugin = Priority(registry)
    wanted = pod()
    await plugin.mutate(write("pods", wanted))
    assert wanted["spec"]["priority"] == 0
    assert wanted["spec"]["preemptionPolicy"] == "PreemptLowerPriority"
    with pytest.raises(Forbidden, match="no PriorityClass with name high was found"):
        await plugin.mutate(write("pods", pod(priorityClassName="high")))
    registry.put(
        "priorityclasses",
        {
            "metadata": {"name": "high"},
            "value": 9,
            "globalDefault": True,
            "preemptionPolicy": "Never",
        },
        "scheduling.k8s.io",
    )
    wanted = pod()
    await plugin.mutate(write("pods", wanted))
    assert wanted["spec"]["priorityClassName"] == "high"
    assert (wanted["spec"]["priority"], wanted["spec"]["preemptionPolicy"]) == (9, "Never")
    with pytest.raises(Forbidden, match=r"value of priority \(5\) must not be provided"):
        await plugin.mutate(write("pods", pod(priority=5)))
    second = {"metadata": {"name": "other"}, "globalDefault": True}
    with pytest.raises(Forbidden, match="high is already marked as default"):
        await plugin.validate(
            write("priorityclasses", second, group="scheduling.k8s.io", namespace="")
        )


async def test_tolerations() -> None:
    wanted = pod(tolerations=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}])
    await DefaultTolerationSeconds().mutate(write("pods", wanted))
    assert [t["key"] for t in wanted["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    everything = pod(tolerations=[{"operator": "Exists"}])
    await DefaultTolerationSeconds().mutate(write("pods", everything))
    assert len(everything["spec"]["tolerations"]) == 1


async def test_runtime_class(registry: MemoryRegistry) -> None:
    plugin = RuntimeClass(registry)
    with pytest.raises(Forbidden, match='pod rejected: RuntimeClass "r" not found'):
        await plugin.mutate(write("pods", pod(runtimeClassName="r")))
    registry.put(
        "runtimeclasses",
        {
            "metadata": {"name": "r"},
            "overhead": {"podFixed": {"cpu": "10m"}},
            "scheduling": {"nodeSelector": {"a": "b"}},
        },
        "node.k8s.io",
    )
    wanted = pod(runtimeClassName="r")
    await plugin.mutate(write("pods", wanted))
    assert wanted["spec"]["overhead"] == {"cpu": "10m"}
    assert wanted["spec"]["nodeSelector"] == {"a": "b"}
    await plugin.validate(write("pods", wanted))
    with pytest.raises(Forbidden, match="conflict"):
        await plugin.mutate(write("pods", pod(runtimeClassName="r", nodeSelector={"a": "c"})))
    with pytest.raises(Forbidden, match="without corresponding RuntimeClass"):
        await plugin.validate(write("pods", pod(overhead={"cpu": "1"})))


async def test_storage(registry: MemoryRegistry) -> None:
    for name, created in (("old", "2020-01-01T00:00:00Z"), ("new", "2021-01-01T00:00:00Z")):
        registry.put(
            "storageclasses",
            {
                "metadata": {
                    "name": name,
                    "creationTimestamp": created,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "allowVolumeExpansion": name == "new",
            },
            "storage.k8s.io",
        )
    claim: Object = {
        "metadata": {"name": "c"},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
    }
    await DefaultStorageClass(registry).mutate(write("persistentvolumeclaims", claim))
    assert claim["spec"]["storageClassName"] == "new"
    await StorageObjectInUseProtection().mutate(write("persistentvolumeclaims", claim))
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]

    def resize(phase: str, storage_class: str) -> AdmissionAttributes:
        old = {**claim, "spec": {**claim["spec"], "storageClassName": storage_class}}
        old["status"] = {"phase": phase}
        new = {**old, "spec": {**old["spec"], "resources": {"requests": {"storage": "2Gi"}}}}
        return write("persistentvolumeclaims", new, old=old, operation=UPDATE)

    plugin = PersistentVolumeClaimResize(registry)
    await plugin.validate(resize("Bound", "new"))
    with pytest.raises(Forbidden, match="only bound persistent volume claims can be expanded"):
        await plugin.validate(resize("Pending", "new"))
    with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
        await plugin.validate(resize("Bound", "old"))


def test_flags() -> None:
    names = enabled_names(["NodeRestriction"], ["PodSecurity"])
    assert "NodeRestriction" in names
    assert "PodSecurity" not in names
    assert names.index("NamespaceLifecycle") == 0
    with pytest.raises(SettingsError, match="unknown"):
        enabled_names(["Nope"], [])
    with pytest.raises(SettingsError, match="overlapped"):
        enabled_names(["Priority"], ["Priority"])


async def test_chain_asks_those_concerned_only(registry: MemoryRegistry) -> None:
    chain = Chain([NamespaceLifecycle(registry), Priority(registry)])
    config_map = {"metadata": {"name": "x"}}
    await chain.mutate(write("configmaps", config_map))
    assert config_map == {"metadata": {"name": "x"}}
    wanted = pod()
    await chain.mutate(write("pods", wanted))
    assert wanted["spec"]["priority"] == 0
