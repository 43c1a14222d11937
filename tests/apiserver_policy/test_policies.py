"""ValidatingAdmissionPolicy, match conditions of webhooks, and rules of custom resources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver_policy.conftest import Answer, Api
from tests.apiserver_policy.webhook_server import WebhookServer

GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIGMAPS = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
    "operations": ["CREATE", "UPDATE"],
}


@pytest.fixture
async def made(api: Api) -> AsyncIterator[list[str]]:
    paths: list[str] = []
    yield paths
    for path in reversed(paths):
        await api("DELETE", path)


async def bind(api: Api, made: list[str], namespace: str, spec: Any, **binding: Any) -> None:
    """Make a policy of configmaps with a binding for the namespace."""
    match = {
        "resourceRules": [CONFIGMAPS],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    name = f"p-{namespace}"
    bound = {"policyName": name, "validationActions": ["Deny"], **binding}
    for plural, body in (
        ("validatingadmissionpolicies", {"matchConstraints": match, **spec}),
        ("validatingadmissionpolicybindings", bound),
    ):
        await api.made(f"{GROUP}/{plural}", {"metadata": {"name": name}, "spec": body})
        made.append(f"{GROUP}/{plural}/{name}")


async def write(api: Api, namespace: str, **data: str) -> Answer:
    body = {"metadata": {"name": "x"}, "data": data}
    return await api("POST", f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All", body)


async def test_a_policy_denies(api: Api, made: list[str]) -> None:
    namespace = await api.namespace()
    spec = {
        "variables": [{"name": "k", "expression": "object.data.k"}],
        "validations": [
            {"expression": "variables.k != 'bad'", "reason": "Forbidden"},
            {
                "expression": "size(variables.k) < 5",
                "messageExpression": "'too long: ' + variables.k + ' in ' + request.namespace",
            },
            {
                "expression": "authorizer.group('').resource('secrets').check('get').allowed()"
                " && namespaceObject.metadata.name == request.namespace"
            },
        ],
    }
    await bind(api, made, namespace, spec)
    assert (await write(api, namespace, k="good")).code == 201
    refused = await write(api, namespace, k="bad")
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert refused.message == (
        f"configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p-{namespace}' with binding"
        f" 'p-{namespace}' denied request: failed expression: variables.k != 'bad'"
    )
    refused = await write(api, namespace, k="longer")
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert refused.message.endswith(f"denied request: too long: longer in {namespace}")
    refused = await write(api, namespace, other="x")
    assert "resulted in error: no such key: k" in refused.message


async def test_params_conditions_and_failure_policy(api: Api, made: list[str]) -> None:
    namespace = await api.namespace()
    spec = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConditions": [
            {"name": "not-limits", "expression": "object.metadata.name != 'limits'"}
        ],
        "validations": [{"expression": "size(object.data) <= int(params.data.most)"}],
    }
    reference = {"name": "limits", "namespace": namespace, "parameterNotFoundAction": "Deny"}
    await bind(api, made, namespace, spec, paramRef=reference)
    assert "failed to configure binding: no params found" in (await write(api, namespace)).message
    await api("DELETE", made[-1])  # the binding would judge its own parameters otherwise
    limits = {"metadata": {"name": "limits"}, "data": {"most": "1"}}
    await api.made(f"/api/v1/namespaces/{namespace}/configmaps", limits)
    bound = {
        "policyName": f"p-{namespace}",
        "validationActions": ["Deny"],
        "paramRef": reference,
    }
    body = {"metadata": {"name": f"p-{namespace}"}, "spec": bound}
    await api.made(f"{GROUP}/validatingadmissionpolicybindings", body)
    assert (await write(api, namespace, a="1")).code == 201
    refused = await write(api, namespace, a="1", b="2")
    assert "failed expression: size(object.data) <= int(params.data.most)" in refused.message


async def test_what_does_not_compile_is_refused(api: Api) -> None:
    body = {
        "metadata": {"name": "x"},
        "spec": {
            "matchConstraints": {"resourceRules": [CONFIGMAPS]},
            "validations": [{"expression": "nope > 1"}],
        },
    }
    refused = await api("POST", f"{GROUP}/validatingadmissionpolicies", body)
    assert refused.code == 422
    assert "spec.validations[0].expression: Invalid value" in refused.message
    assert "undeclared reference to 'nope' (in container '')" in refused.message


async def test_types_are_checked_in_the_background(api: Api, made: list[str]) -> None:
    deployments = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "resources": ["deployments"],
        "operations": ["*"],
    }
    warnings: list[Any] = []
    for index, expression in enumerate(("object.spec.replicas > 1", "object.spec.replicas > '1'")):
        path = f"{GROUP}/validatingadmissionpolicies"
        spec = {
            "matchConstraints": {"resourceRules": [deployments]},
            "validations": [{"expression": expression}],
        }
        await api.made(path, {"metadata": {"name": f"types-{index}"}, "spec": spec})
        made.append(f"{path}/types-{index}")
        checked = None
        for _ in range(50):
            status = (await api("GET", made[-1])).body.get("status") or {}
            checked = status.get("typeChecking")
            if checked is not None:
                break
            await asyncio.sleep(0.1)
        assert checked is not None
        warnings.append(checked.get("expressionWarnings"))
    assert warnings[0] is None
    assert warnings[1][0]["fieldRef"] == "spec.validations[0].expression"
    assert "apps/v1, Kind=Deployment: ERROR: <input>:1:22:" in warnings[1][0]["warning"]
    assert "found no matching overload for '_>_' applied to '(int, string)'" in str(warnings[1])


async def test_match_conditions_of_webhooks(api: Api, made: list[str], tmp_path: Path) -> None:
    namespace = await api.namespace()
    async with WebhookServer(tmp_path).running() as hooks:
        hooks.answers["/no"] = lambda _request: {"allowed": False}
        webhook = {
            "name": "no.example.com",
            "clientConfig": hooks.config("/no"),
            "rules": [CONFIGMAPS],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "matchConditions": [{"name": "skip", "expression": "!('skip' in object.data)"}],
        }
        path = f"{GROUP}/validatingwebhookconfigurations"
        await api.made(path, {"metadata": {"name": "conditions"}, "webhooks": [webhook]})
        made.append(f"{path}/conditions")
        assert (await write(api, namespace, skip="1")).code == 201
        assert (await write(api, namespace, k="1")).code == 400
        webhook["matchConditions"] = [{"name": "x", "expression": "... [] bad expression"}]
        refused = await api("POST", path, {"metadata": {"name": "bad"}, "webhooks": [webhook]})
        assert refused.code == 422
        assert "webhooks[0].matchConditions[0].expression" in refused.message
        assert "compilation failed" in refused.message


async def test_rules_of_custom_resources(api: Api, made: list[str]) -> None:
    spec = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]},
            "max": {"type": "integer"},
        },
        "x-kubernetes-validations": [
            {"rule": "self.n <= self.max", "messageExpression": "'n over ' + string(self.max)"},
            {"rule": "self.n != 13", "message": "unlucky", "fieldPath": ".n"},
        ],
    }
    schema = {"type": "object", "properties": {"spec": spec}}
    definition = {
        "metadata": {"name": "rules.cel.example.com"},
        "spec": {
            "group": "cel.example.com",
            "scope": "Cluster",
            "names": {"plural": "rules", "kind": "Rule"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await api.made(definitions, definition)
    made.append(f"{definitions}/rules.cel.example.com")
    path = "/apis/cel.example.com/v1/rules"
    for _ in range(50):
        found = (await api("GET", f"{definitions}/rules.cel.example.com")).body
        states = (found.get("status") or {}).get("conditions") or []
        if any(one["type"] == "Established" and one["status"] == "True" for one in states):
            break
        await asyncio.sleep(0.1)
    body = {
        "apiVersion": "cel.example.com/v1",
        "kind": "Rule",
        "metadata": {"name": "a"},
        "spec": {"n": 5, "max": 20},
    }
    stored = await api.made(path, body)
    refused = await api("PUT", f"{path}/a", {**stored, "spec": {"n": 4, "max": 20}})
    assert refused.code == 422
    assert 'spec.n: Invalid value: "integer": failed rule: self >= oldSelf' in refused.message
    refused = await api("PUT", f"{path}/a", {**stored, "spec": {"n": 30, "max": 20}})
    assert 'spec: Invalid value: "object": n over 20' in refused.message
    refused = await api("PUT", f"{path}/a", {**stored, "spec": {"n": 13, "max": 20}})
    assert 'spec.n: Invalid value: "object": unlucky' in refused.message
    spec["x-kubernetes-validations"] = [{"rule": "self.nope > 0"}]
    refused = await api("POST", f"{definitions}?dryRun=All", definition)
    assert refused.code == 422
    assert (
        "compilation failed: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope > 0\n | ....^"
        in refused.message
    )
