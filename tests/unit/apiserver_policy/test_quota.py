"""Quotas: live accounting, scopes, messages, and no overdraft under concurrent writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission import usage
from kubeinstall.apiserver.admission.quota import ResourceQuota
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.errors import Forbidden
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod, write


def quota(name: str = "q", *, hard: Object, **spec: object) -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"hard": hard, **spec}}


def sized(name: str, cpu: str = "1", memory: str = "1Gi", **spec: Any) -> Object:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu}}
    return pod(name, containers=[{"name": "c", "resources": resources}], **spec)


def used(registry: MemoryRegistry, name: str = "q") -> Object:
    found: Object = registry.get(kind("resourcequotas"), name, "ns")["status"]["used"]
    return found


async def admit(plugin: ResourceQuota, registry: MemoryRegistry, obj: Object) -> None:
    await plugin.validate(write("pods", obj))
    registry.put("pods", obj)


async def test_pods_until_nothing_is_left() -> None:
    registry = MemoryRegistry()
    registry.put("pods", sized("present", cpu="500m"))
    registry.put(
        "resourcequotas", quota(hard={"pods": "3", "requests.cpu": "2", "limits.cpu": "9"})
    )
    plugin = ResourceQuota(registry)
    await admit(plugin, registry, sized("a"))
    assert used(registry) == {"pods": "2", "requests.cpu": "1500m", "limits.cpu": "1500m"}
    with pytest.raises(Forbidden) as caught:
        await admit(plugin, registry, sized("b"))
    assert caught.value.message == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=1, '
        "used: requests.cpu=1500m, limited: requests.cpu=2"
    )


async def test_deletion_gives_back() -> None:
    registry = MemoryRegistry()
    registry.put("resourcequotas", quota(hard={"pods": "1"}))
    plugin = ResourceQuota(registry)
    await asyncio.sleep(0)
    registry.put("resourcequotas", quota("r", hard={"pods": "5"}))  # the loop runs now
    await admit(plugin, registry, sized("a"))
    with pytest.raises(Forbidden):
        await admit(plugin, registry, sized("b"))
    await registry.delete(kind("pods"), "ns", "a")
    for _ in range(100):
        await asyncio.sleep(0.05)
        if used(registry) == {"pods": "0"}:
            break
    await admit(plugin, registry, sized("b"))


async def test_no_overdraft() -> None:
    registry = MemoryRegistry()
    registry.put("resourcequotas", quota(hard={"count/configmaps": "10"}))
    plugin = ResourceQuota(registry)
    writes = [
        plugin.validate(write("configmaps", {"metadata": {"name": f"c{n}"}})) for n in range(30)
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(result is None for result in results) == 10
    assert used(registry) == {"count/configmaps": "10"}


async def test_what_is_admitted_but_not_stored_yet_counts() -> None:
    registry = MemoryRegistry()
    registry.put("resourcequotas", quota(hard={"count/configmaps": "2"}))
    plugin = ResourceQuota(registry)

    async def admitted(name: str) -> bool:
        try:
            await plugin.validate(write("configmaps", {"metadata": {"name": name}}))
        except Forbidden:
            return False
        return True

    assert await admitted("a")
    # A new specification makes `used` be calculated anew, from an empty cache.
    registry.put("resourcequotas", quota(hard={"count/configmaps": "2", "pods": "1"}))
    await asyncio.sleep(0.5)
    assert used(registry) == {"count/configmaps": "1", "pods": "0"}
    assert await admitted("b")
    assert not await admitted("c")
    registry.put("configmaps", {"metadata": {"name": "a", "namespace": "ns"}})
    registry.put("resourcequotas", quota(hard={"count/configmaps": "2"}))
    await asyncio.sleep(0.5)
    assert used(registry) == {"count/configmaps": "2"}


async def test_pods_must_state_what_is_limited() -> None:
    registry = MemoryRegistry()
    registry.put("resourcequotas", quota(hard={"limits.memory": "1Gi", "requests.cpu": "1"}))
    with pytest.raises(Forbidden) as caught:
        await ResourceQuota(registry).validate(write("pods", pod("a")))
    assert caught.value.message == (
        'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; '
        "requests.cpu for: c"
    )


async def test_dry_run_takes_nothing() -> None:
    registry = MemoryRegistry()
    registry.put("resourcequotas", quota(hard={"pods": "1"}))
    plugin = ResourceQuota(registry)
    await plugin.validate(write("pods", sized("a"), dry_run=True))
    assert used(registry) == {"pods": "0"}
    await plugin.validate(write("pods", sized("a")))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await plugin.validate(write("pods", sized("b"), dry_run=True))


@pytest.mark.parametrize(
    ("spec", "matches"),
    [
        ({"scopes": ["BestEffort"]}, {"plain"}),
        ({"scopes": ["NotBestEffort"]}, {"sized", "deadline", "high"}),
        ({"scopes": ["Terminating"]}, {"deadline"}),
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, {"sized", "high"}),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
                    ]
                }
            },
            {"high"},
        ),
    ],
)
def test_scopes(spec: Object, matches: set[str]) -> None:
    pods = {
        "plain": pod("plain"),
        "sized": sized("sized"),
        "deadline": sized("deadline", activeDeadlineSeconds=5),
        "high": sized("high", priorityClassName="high"),
    }
    wanted = quota(hard={}, **spec)
    assert {n for n, p in pods.items() if usage.in_scope(wanted, kind("pods"), p)} == matches


def test_usage_of_services_and_claims() -> None:
    service = {
        "metadata": {"name": "s"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]},
    }
    found = usage.usage(kind("services"), service)
    assert {name: str(value) for name, value in found.items()} == {
        "count/services": "1",
        "services": "1",
        "services.loadbalancers": "1",
        "services.nodeports": "2",
    }
    claim = {
        "metadata": {"name": "c"},
        "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "2Gi"}}},
    }
    found = usage.usage(kind("persistentvolumeclaims"), claim)
    assert str(found["gold.storageclass.storage.k8s.io/requests.storage"]) == "2Gi"
    assert str(found["requests.storage"]) == "2Gi"


def test_finished_pods_use_nothing_but_their_place() -> None:
    done = {**sized("a"), "status": {"phase": "Succeeded"}}
    assert set(usage.usage(kind("pods"), done)) == {"count/pods"}
