"""Admission webhooks against a real HTTPS server."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver_policy.conftest import Answer, Api
from tests.apiserver_policy.webhook_server import WebhookServer, patched

GROUP = "/apis/admissionregistration.k8s.io/v1"
ALLOW = {"allowed": True}
CONFIGMAPS = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
    "operations": ["*"],
}


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[WebhookServer]:
    async with WebhookServer(tmp_path).running() as server:
        yield server


class Configurations:
    """Makes configurations, and removes them after the test."""

    def __init__(self, api: Api) -> None:
        self.api, self.made = api, list[str]()

    async def add(self, kind: str, name: str, *webhooks: dict[str, Any]) -> None:
        path = f"{GROUP}/{kind}webhookconfigurations"
        await self.api.made(path, {"metadata": {"name": name}, "webhooks": list(webhooks)})
        self.made.append(f"{path}/{name}")


@pytest.fixture
async def configurations(api: Api) -> AsyncIterator[Configurations]:
    found = Configurations(api)
    yield found
    for path in found.made:
        await api("DELETE", path)


def hook(name: str, config: dict[str, Any], namespace: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "clientConfig": config,
        "rules": [CONFIGMAPS],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        **more,
    }


async def write(api: Api, namespace: str, query: str = "", **data: str) -> Answer:
    body = {"metadata": {"generateName": "x-"}, "data": data}
    return await api("POST", f"/api/v1/namespaces/{namespace}/configmaps{query}", body)


async def test_a_webhook_denies(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/no"] = lambda _request: {
        "allowed": False,
        "status": {"message": "never", "reason": "Because", "code": 403},
    }
    hooks.answers["/mute"] = lambda _request: {"allowed": False}
    assert (await write(api, namespace, a="1")).code == 201
    await configurations.add(
        "validating", "denies", hook("no.example.com", hooks.config("/no"), namespace)
    )
    refused = await write(api, namespace, a="1")
    assert (refused.code, refused.body["reason"]) == (403, "Because")
    assert refused.message == 'admission webhook "no.example.com" denied the request: never'
    await configurations.api("DELETE", configurations.made.pop())
    await configurations.add(
        "validating", "mute", hook("mute.example.com", hooks.config("/mute"), namespace)
    )
    refused = await write(api, namespace, a="1")
    assert refused.code == 400
    assert (
        refused.message
        == 'admission webhook "mute.example.com" denied the request without explanation'
    )


async def test_what_a_webhook_is_asked(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/look"] = lambda _request: {**ALLOW, "warnings": ["mind the gap"]}
    await configurations.add(
        "validating", "looks", hook("look.example.com", hooks.config("/look"), namespace)
    )
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = await api.made(path, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    await api("PUT", f"{path}/a?dryRun=All", {**made, "data": {"k": "2"}})
    await api("DELETE", f"{path}/a")
    created, updated, deleted = (request for _, request in hooks.asked)
    assert created["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (created["operation"], created["name"], created["namespace"]) == (
        "CREATE",
        "a",
        namespace,
    )
    assert created["object"]["kind"] == "ConfigMap"
    assert created["object"]["metadata"]["uid"]
    assert created["oldObject"] is None
    assert created["userInfo"]["username"]
    assert created["options"]["kind"] == "CreateOptions"
    assert (updated["operation"], updated["dryRun"]) == ("UPDATE", True)
    assert (updated["object"]["data"], updated["oldObject"]["data"]) == ({"k": "2"}, {"k": "1"})
    assert (deleted["operation"], deleted["object"]) == ("DELETE", None)
    assert deleted["oldObject"]["data"] == {"k": "1"}


async def test_webhooks_mutate_in_order_and_again_if_needed(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()

    def first(request: dict[str, Any]) -> dict[str, Any]:
        if "second" in request["object"]["data"]:
            return patched({"op": "add", "path": "/data/again", "value": "yes"})
        return patched({"op": "add", "path": "/data/first", "value": "yes"})

    hooks.answers["/first"] = first
    hooks.answers["/second"] = lambda _request: patched(
        {"op": "add", "path": "/data/second", "value": "yes"}
    )
    await configurations.add(
        "mutating",
        "b-second",
        hook("second.example.com", hooks.config("/second"), namespace),
    )
    await configurations.add(
        "mutating",
        "a-first",
        hook(
            "first.example.com",
            hooks.config("/first"),
            namespace,
            reinvocationPolicy="IfNeeded",
        ),
    )
    made = await write(api, namespace, k="v")
    assert made.body["data"] == {"k": "v", "first": "yes", "second": "yes", "again": "yes"}
    assert [path for path, _ in hooks.asked] == ["/first", "/second", "/first"]


async def test_failures(api: Api, hooks: WebhookServer, configurations: Configurations) -> None:
    namespace = await api.namespace()
    closed = {"url": "https://127.0.0.1:1/x", "caBundle": hooks.bundle}
    await configurations.add("validating", "closed", hook("a.example.com", closed, namespace))
    refused = await write(api, namespace)
    assert refused.code == 500
    assert refused.body["reason"] == "InternalError"
    assert refused.message == (
        'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook:'
        ' Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection'
        " refused"
    )
    await api("DELETE", configurations.made.pop())
    await configurations.add(
        "validating", "open", hook("b.example.com", closed, namespace, failurePolicy="Ignore")
    )
    assert (await write(api, namespace)).code == 201
    hooks.delay = 3
    hooks.answers["/slow"] = lambda _request: ALLOW
    await configurations.add(
        "mutating",
        "slow",
        hook("slow.example.com", hooks.config("/slow"), namespace, timeoutSeconds=1),
    )
    refused = await write(api, namespace)
    assert refused.message.endswith('/slow?timeout=1s": context deadline exceeded')


async def test_an_unknown_authority_is_not_trusted(
    api: Api, hooks: WebhookServer, configurations: Configurations, tmp_path: Path
) -> None:
    namespace = await api.namespace()
    (tmp_path / "other").mkdir()
    other = WebhookServer(tmp_path / "other")
    config = {**hooks.config("/x"), "caBundle": other.bundle}
    await configurations.add("validating", "stranger", hook("x.example.com", config, namespace))
    refused = await write(api, namespace)
    assert "x509: certificate signed by unknown authority" in refused.message
    assert hooks.asked == []


async def test_invalid_answers(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/bad"] = lambda _request: {**ALLOW, "uid": "other"}
    await configurations.add(
        "validating", "bad", hook("bad.example.com", hooks.config("/bad"), namespace)
    )
    assert 'expected response.uid="' in (await write(api, namespace)).message
    hooks.answers["/bad"] = lambda _request: {"raw": "oops", "status": 500}
    assert 'an error on the server ("oops")' in (await write(api, namespace)).message
    hooks.answers["/bad"] = lambda _request: patched({"op": "remove", "path": "/data"})
    assert (
        "validating webhook may not return response.patch" in (await write(api, namespace)).message
    )


async def test_selectors_and_side_effects(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/no"] = lambda _request: {"allowed": False}
    await configurations.add(
        "validating",
        "selective",
        hook(
            "no.example.com",
            hooks.config("/no"),
            namespace,
            objectSelector={"matchLabels": {"judge": "me"}},
        ),
    )
    assert (await write(api, namespace)).code == 201
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    refused = await api("POST", path, {"metadata": {"name": "y", "labels": {"judge": "me"}}})
    assert refused.code == 400


async def test_versions_and_scale_are_equivalent(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/look"] = lambda _request: ALLOW
    rule = {
        "apiGroups": ["autoscaling"],
        "apiVersions": ["v1"],
        "resources": ["horizontalpodautoscalers"],
        "operations": ["CREATE"],
    }
    await configurations.add(
        "validating",
        "versions",
        hook("v1.example.com", hooks.config("/look"), namespace, rules=[rule]),
    )
    await api.made(
        f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
        {
            "metadata": {"name": "a"},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
            },
        },
    )
    ((_, request),) = hooks.asked
    assert request["kind"]["version"] == "v1"
    assert request["requestKind"]["version"] == "v2"
    assert request["object"]["apiVersion"] == "autoscaling/v1"


def _address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks for a route
        except OSError:
            return ""
        return str(probe.getsockname()[0])


async def test_a_webhook_behind_a_service(
    api: Api, tmp_path: Path, configurations: Configurations
) -> None:
    host = _address()
    if not host or host.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    namespace = await api.namespace()
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "hooks"}})
    async with WebhookServer(tmp_path).running(host) as hooks:
        hooks.answers["/deny"] = lambda _request: {"allowed": False, "status": {"message": "m"}}
        config = {
            "service": {"name": "hooks", "namespace": "hooks", "path": "/deny", "port": 8443},
            "caBundle": hooks.bundle,
        }
        await configurations.add("validating", "service", hook("s.example.com", config, namespace))
        refused = await write(api, namespace)
        assert 'Post "https://hooks.hooks.svc:8443/deny?timeout=10s"' in refused.message
        assert 'service "hooks" not found' in refused.message
        await api.made(
            "/api/v1/namespaces/hooks/services",
            {"metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 8443, "name": "web"}]}},
        )
        await api.made(
            "/apis/discovery.k8s.io/v1/namespaces/hooks/endpointslices",
            {
                "metadata": {"name": "h", "labels": {"kubernetes.io/service-name": "hooks"}},
                "addressType": "IPv4",
                "ports": [{"name": "web", "port": hooks.port}],
                "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            },
        )
        refused = await write(api, namespace)
        assert refused.message == 'admission webhook "s.example.com" denied the request: m'


async def test_connections_are_judged(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    namespace = await api.namespace()
    hooks.answers["/no"] = lambda _request: {"allowed": False, "status": {"message": "no entry"}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods/attach"],
        "operations": ["CONNECT"],
    }
    await configurations.add(
        "validating", "attach", hook("c.example.com", hooks.config("/no"), namespace, rules=[rule])
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = await api.made(path, pod)
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "nowhere"}}
    await api.made(f"{path}/{made['metadata']['name']}/binding", binding)
    refused = await api("POST", f"{path}/p/attach?container=c&stdin=true")
    assert refused.message == 'admission webhook "c.example.com" denied the request: no entry'
    ((_, request),) = hooks.asked
    assert request["kind"] == {"group": "", "version": "v1", "kind": "PodAttachOptions"}
    assert (request["operation"], request["subResource"]) == ("CONNECT", "attach")
    assert request["object"]["stdin"] is True


async def test_configurations_are_not_judged(
    api: Api, hooks: WebhookServer, configurations: Configurations
) -> None:
    hooks.answers["/no"] = lambda _request: {"allowed": False}
    rule = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "apiVersions": ["*"],
        "resources": ["*"],
        "operations": ["*"],
    }
    whole = hook("w.example.com", hooks.config("/no"), "x", rules=[rule])
    del whole["namespaceSelector"]
    await configurations.add("validating", "judge", whole)
    await configurations.add("validating", "other", hook("o.example.com", hooks.config("/no"), "x"))
    assert hooks.asked == []
