"""MutatingAdmissionPolicies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver_policy.conftest import Answer, Api
from tests.apiserver_policy.webhook_server import WebhookServer, patched

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES = f"{GROUP}/mutatingadmissionpolicies"
BINDINGS = f"{GROUP}/mutatingadmissionpolicybindings"


def rule(group: str, plural: str, *operations: str) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "resources": [plural],
        "operations": list(operations or ("CREATE", "UPDATE")),
    }


def apply(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


class Policies:
    """Makes policies of one namespace, and removes them after the test."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace, self.made = api, namespace, list[str]()

    async def add(self, name: str, *mutations: Any, group: str = "", **spec: Any) -> None:
        plural = "deployments" if group else "configmaps"
        name = f"{self.namespace}-{name}"
        body = {
            "matchConstraints": {
                "resourceRules": [rule(group, plural)],
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": self.namespace}
                },
            },
            "reinvocationPolicy": "Never",
            "mutations": list(mutations),
            **spec,
        }
        binding = body.pop("binding", {})
        await self.api.made(POLICIES, {"metadata": {"name": name}, "spec": body})
        self.made.append(f"{POLICIES}/{name}")
        bound = {"policyName": name, **binding}
        await self.api.made(BINDINGS, {"metadata": {"name": name}, "spec": bound})
        self.made.append(f"{BINDINGS}/{name}")

    async def write(self, **data: str) -> Answer:
        body = {"metadata": {"name": "x", "labels": {"a": "1"}}, "data": data}
        path = f"/api/v1/namespaces/{self.namespace}/configmaps?dryRun=All"
        return await self.api("POST", path, body)


@pytest.fixture
async def policies(api: Api) -> AsyncIterator[Policies]:
    found = Policies(api, await api.namespace())
    yield found
    for path in reversed(found.made):
        await api("DELETE", path)


async def test_a_deployment_is_changed_by_what_is_applied(api: Api, policies: Policies) -> None:
    expression = """
      Object{
        metadata: Object.metadata{annotations: {"my-note": "by policy"}},
        spec: Object.spec{
          replicas: object.spec.replicas + 2,
          template: Object.spec.template{spec: Object.spec.template.spec{
            containers: object.spec.template.spec.containers.map(c,
              Object.spec.template.spec.containers{
                name: c.name,
                env: [Object.spec.template.spec.containers.env{name: "WHO", value: request.name}]
              })
          }}
        }
      }"""
    await policies.add("deployments", apply(expression), group="apps")
    container = {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}
    body = {
        "metadata": {"name": "d", "annotations": {"own": "1"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [container]},
            },
        },
    }
    made = await api.made(f"/apis/apps/v1/namespaces/{policies.namespace}/deployments", body)
    assert made["spec"]["replicas"] == 3
    assert made["metadata"]["annotations"] == {"own": "1", "my-note": "by policy"}
    (shown,) = made["spec"]["template"]["spec"]["containers"]
    names = [(one["name"], one["value"]) for one in shown["env"]]
    assert sorted(names) == [("A", "1"), ("WHO", "d")]
    assert shown["image"] == "i"


async def test_json_patches_variables_and_params(api: Api, policies: Policies) -> None:
    namespace = policies.namespace
    await api.made(
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"metadata": {"name": "params"}, "data": {"suffix": "!"}},
    )
    expression = """[
      JSONPatch{op: "test", path: "/data/k", value: object.data.k},
      JSONPatch{op: "replace", path: "/data/k", value: variables.new},
      JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("e.com/x"), value: "y"},
      JSONPatch{op: "remove", path: "/metadata/labels/a"}
    ]"""
    again = patch('[JSONPatch{op: "add", path: "/data/copy", value: object.data.k}]')
    await policies.add(
        "patch",
        patch(expression),
        again,
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        variables=[{"name": "new", "expression": "object.data.k + params.data.suffix"}],
        matchConditions=[{"name": "has-k", "expression": "has(object.data) && 'k' in object.data"}],
        binding={
            "paramRef": {
                "name": "params",
                "namespace": namespace,
                "parameterNotFoundAction": "Deny",
            }
        },
    )
    answer = await policies.write(k="v")
    assert answer.body["data"] == {"k": "v!", "copy": "v!"}
    assert answer.body["metadata"]["labels"] == {"e.com/x": "y"}
    assert (await policies.write(other="v")).body["data"] == {"other": "v"}


async def test_what_cannot_be_applied_is_refused_unless_ignored(policies: Policies) -> None:
    failing = patch('[JSONPatch{op: "test", path: "/data/k", value: "other"}]')
    await policies.add("a", failing)
    refused = await policies.write(k="v")
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    name = f"{policies.namespace}-a"
    assert f"policy '{name}' with binding '{name}' denied request: " in refused.message
    await policies.api("DELETE", policies.made[1])
    await policies.add("b", failing, apply("Object{data: object.nope}"), failurePolicy="Ignore")
    assert (await policies.write(k="v")).code == 201
    await policies.add("c", apply('Object{nope: "x"}'))
    refused = await policies.write(k="v")
    assert "invalid ApplyConfiguration: .nope: field not declared in schema" in refused.message
    await policies.api("DELETE", policies.made[-1])
    finalizers = 'Object{metadata: Object.metadata{ownerReferences: [{"uid": object.data.nope}]}}'
    await policies.add("d", apply(finalizers))
    refused = await policies.write(k="v")
    assert "resulted in error: no such key: nope" in refused.message


async def test_atomic_parts_may_not_be_applied(api: Api, policies: Policies) -> None:
    expression = (
        'Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"x": "y"}}}}'
    )
    await policies.add("atomic", apply(expression), group="apps")
    body = {
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    path = f"/apis/apps/v1/namespaces/{policies.namespace}/deployments"
    refused = await api("POST", path, body)
    assert "may not mutate atomic arrays, maps or structs: .spec.selector" in refused.message


async def test_policies_are_invoked_again_when_they_ask_for_it(
    api: Api, policies: Policies, tmp_path: Path
) -> None:
    """A webhook changes the object after the policies: one of them sees that, the other does not."""
    for name, policy in (("never", "Never"), ("needed", "IfNeeded")):
        value = f'object.?data["{name}"].orValue("") + "i"'
        await policies.add(
            name, apply(f'Object{{data: {{"{name}": {value}}}}}'), reinvocationPolicy=policy
        )
    async with WebhookServer(tmp_path).running() as server:
        server.answers["/add"] = lambda request: (
            {"allowed": True}
            if "hook" in request["object"]["data"]
            else patched({"op": "add", "path": "/data/hook", "value": "1"})
        )
        hook = {
            "name": "h.example.com",
            "clientConfig": server.config("/add"),
            "rules": [rule("", "configmaps")],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": policies.namespace}
            },
        }
        path = f"{GROUP}/mutatingwebhookconfigurations"
        body = {"metadata": {"name": policies.namespace}, "webhooks": [hook]}
        await api.made(path, body)
        policies.made.append(f"{path}/{policies.namespace}")
        answer = await policies.write(k="v")
    assert answer.body["data"] == {"k": "v", "hook": "1", "never": "i", "needed": "ii"}


async def test_wrong_policies_are_not_taken(api: Api) -> None:
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [rule("", "configmaps", "CREATE", "DELETE")]},
        "mutations": [
            apply("Object{metadata: Object.spec{}}"),
            apply("1"),
            {"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}},
            {"patchType": "Merge"},
        ],
    }
    refused = await api("POST", POLICIES, {"metadata": {"name": "wrong"}, "spec": spec})
    assert refused.code == 422
    causes = {cause["field"]: cause["message"] for cause in refused.body["details"]["causes"]}
    assert causes["spec.reinvocationPolicy"].startswith("Required value")
    assert "DELETE" in causes["spec.matchConstraints.resourceRules[0].operations[1]"]
    assert 'expected "Object.metadata"' in causes["spec.mutations[0].applyConfiguration.expression"]
    assert "must evaluate to Object" in causes["spec.mutations[1].applyConfiguration.expression"]
    assert causes["spec.mutations[2].jsonPatch"].startswith("Required value")
    assert causes["spec.mutations[2].applyConfiguration"].startswith("Forbidden")
    assert "Merge" in causes["spec.mutations[3].patchType"]
    spec["mutations"] = []
    refused = await api("POST", POLICIES, {"metadata": {"name": "wrong"}, "spec": spec})
    assert "mutations must contain at least one item" in refused.message
