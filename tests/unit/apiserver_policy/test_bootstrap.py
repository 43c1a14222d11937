"""Default objects: equal to those of a real v1.36 API server, and kept as upstream keeps them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.apiserver.authz.kinds import RBAC_GROUP, kind
from kubeinstall.apiserver.bootstrap import apiservices, flowcontrol, policy
from tests.unit.apiserver_policy.memory import MemoryRegistry

REFERENCE = Path(
    os.environ.get("KUBEINSTALL_REFERENCE", Path(__file__).parents[4] / "shared" / "reference")
)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    path = REFERENCE / "golden-v1.36.json"
    if not path.exists():
        pytest.skip(f"no recorded answers at {path}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
async def registry() -> MemoryRegistry:
    found = MemoryRegistry()
    await policy.ensure_policy(found)
    return found


@pytest.mark.parametrize("name", ["admin", "view", "cluster-admin"])
async def test_roles_are_upstreams(
    registry: MemoryRegistry, golden: dict[str, Any], name: str
) -> None:
    wanted = golden[f"access.rules.{name}"]["body"]
    found = registry.get(kind("clusterroles", RBAC_GROUP), name)
    assert found["rules"] == wanted["rules"]
    assert found["metadata"]["labels"] == wanted["metadata"]["labels"]
    assert found["metadata"]["annotations"] == wanted["metadata"]["annotations"]
    assert found.get("aggregationRule") == wanted.get("aggregationRule")


async def test_every_binding_names_a_role(registry: MemoryRegistry) -> None:
    for plural, roles in (("clusterrolebindings", "clusterroles"), ("rolebindings", "roles")):
        for binding in registry.list(kind(plural, RBAC_GROUP)):
            namespace = binding["metadata"].get("namespace", "")
            registry.get(kind(roles, RBAC_GROUP), binding["roleRef"]["name"], namespace)


async def test_what_administrators_add_stays_and_what_is_missing_comes_back(
    registry: MemoryRegistry,
) -> None:
    resource = kind("clusterroles", RBAC_GROUP)
    role = registry.get(resource, "system:node-bootstrapper")
    own = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}
    role["rules"] = [own]
    role["metadata"]["labels"] = {}
    registry.put("clusterroles", role, RBAC_GROUP)
    kept = registry.get(resource, "system:node-problem-detector")
    kept["metadata"]["annotations"][policy.AUTOUPDATE] = "false"
    kept["rules"] = []
    registry.put("clusterroles", kept, RBAC_GROUP)
    await policy.ensure_policy(registry)
    rules = registry.get(resource, "system:node-bootstrapper")["rules"]
    assert rules[0] == own
    assert len(rules) > 1
    assert registry.get(resource, "system:node-bootstrapper")["metadata"]["labels"]
    assert registry.get(resource, "system:node-problem-detector")["rules"] == []


async def test_second_run_writes_nothing(registry: MemoryRegistry) -> None:
    before = _revisions(registry)
    await policy.ensure_policy(registry)
    assert _revisions(registry) == before


def _revisions(registry: MemoryRegistry) -> dict[Any, str]:
    return {
        (resource, key): obj["metadata"]["resourceVersion"]
        for resource, objects in registry.objects.items()
        for key, obj in objects.items()
    }


def _items(golden: dict[str, Any], key: str) -> dict[str, Any]:
    return {item["metadata"]["name"]: item["spec"] for item in golden[key]["body"]["items"]}


def test_flow_control_is_upstreams(golden: dict[str, Any]) -> None:
    assert flowcontrol.flow_schemas() == _items(golden, "bootstrap.FlowSchema")
    assert flowcontrol.priority_levels() == _items(golden, "bootstrap.PriorityLevelConfiguration")


def test_api_services_are_upstreams(golden: dict[str, Any]) -> None:
    assert apiservices.specs() == _items(golden, "bootstrap.APIService")
