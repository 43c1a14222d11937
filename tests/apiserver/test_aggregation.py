"""Aggregated API servers, against a real HTTPS server that believes only the front proxy."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.apiserver.conftest import Answer, Http
from tests.apiserver.extension import BASE, GROUP, VERBS, VERSION, ExtensionServer, own_address

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = f"{VERSION}.{GROUP}"
FLUNDERS = f"{BASE}/namespaces/default/flunders"
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Sample:
    """An extension server with its Service; `register` makes the APIService."""

    def __init__(self, http: Http, server: ExtensionServer, host: str) -> None:
        self.http, self.server, self.host = http, server, host

    async def connect(self) -> None:
        """Make Service and EndpointSlice, as a deployment would."""
        made = await self.http(
            "POST",
            "/api/v1/namespaces/aggregator/services",
            {"metadata": {"name": "sample-api"}, "spec": {"ports": [{"port": 7443}]}},
        )
        assert made.status == 201, made.body
        await self.listen()

    async def listen(self) -> None:
        """Make the EndpointSlice."""
        made = await self.http(
            "POST",
            "/apis/discovery.k8s.io/v1/namespaces/aggregator/endpointslices",
            {
                "metadata": {
                    "name": "sample",
                    "labels": {"kubernetes.io/service-name": "sample-api"},
                },
                "addressType": "IPv4",
                "ports": [{"name": "", "port": self.server.port}],
                "endpoints": [{"addresses": [self.host], "conditions": {"ready": True}}],
            },
        )
        assert made.status == 201, made.body

    async def register(self, **spec: Any) -> None:
        """Make the APIService."""
        authority = (self.http.server.directory / "pki/ca.crt").read_bytes()
        body = {
            "metadata": {"name": NAME},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 2000,
                "versionPriority": 200,
                "service": {"name": "sample-api", "namespace": "aggregator", "port": 7443},
                "caBundle": base64.b64encode(authority).decode(),
                **spec,
            },
        }
        made = await self.http("POST", SERVICES, body)
        assert made.status == 201, made.body

    async def condition(self, reason: str) -> dict[str, Any]:
        """The condition Available, once it has the reason."""

        def has(answer: Answer) -> bool:
            return _available(answer).get("reason") == reason

        return _available(await self.until(f"{SERVICES}/{NAME}", has))

    async def until(self, path: str, holds: Callable[[Answer], bool], **headers: str) -> Answer:
        """GET until it holds."""
        answer = None
        for _ in range(300):
            answer = await self.http("GET", path, **headers)
            if holds(answer):
                return answer
            await asyncio.sleep(0.05)
        raise AssertionError(answer)


def _available(answer: Answer) -> dict[str, Any]:
    conditions = (answer.body.get("status") or {}).get("conditions") or []
    return next((dict(c) for c in conditions if c["type"] == "Available"), {})


@pytest.fixture
async def sample(http: Http) -> AsyncIterator[Sample]:
    host = own_address()
    if not host:
        pytest.skip("this machine has no address but loopback")
    await http("POST", "/api/v1/namespaces", {"metadata": {"name": "aggregator"}})
    async with ExtensionServer(http.server.directory / "pki").running(host) as server:
        yield Sample(http, server, host)
        await http("DELETE", f"{SERVICES}/{NAME}")
        await http("DELETE", "/api/v1/namespaces/aggregator/services/sample-api")
        await http(
            "DELETE", "/apis/discovery.k8s.io/v1/namespaces/aggregator/endpointslices/sample"
        )


async def test_requests_are_handed_on_in_the_users_name(http: Http, sample: Sample) -> None:
    await sample.connect()
    await sample.register()
    verdict = await sample.condition("Passed")
    assert (verdict["status"], verdict["message"]) == ("True", "all checks passed")
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Flunder",
        "metadata": {"name": "rest-flunder", "namespace": "default"},
    }
    made = await http("POST", FLUNDERS, body, X_Remote_User="eve", X_Remote_Group="g")
    assert (made.status, made.body) == (201, body)
    method, path, headers, peer = sample.server.asked[-1]
    assert (method, path, peer) == ("POST", FLUNDERS, "front-proxy-client")
    assert [v for k, v in headers if k.lower() == "x-remote-user"] == ["kubernetes-super-admin"]
    assert [v for k, v in headers if k.lower() == "x-remote-group"] == [
        "system:masters",
        "system:authenticated",
    ]
    listed = await http("GET", f"{FLUNDERS}?limit=3")
    assert [one["metadata"]["name"] for one in listed.body["items"]] == ["rest-flunder"]
    assert sample.server.asked[-1][1] == f"{FLUNDERS}?limit=3"
    assert (await http("DELETE", f"{FLUNDERS}/rest-flunder")).status == 200
    assert (await http("GET", BASE)).body["resources"][0]["name"] == "flunders"


async def test_an_impersonated_user_is_who_asks(http: Http, sample: Sample) -> None:
    await sample.connect()
    await sample.register()
    await sample.condition("Passed")
    refused = await http("GET", FLUNDERS, Impersonate_User="jane")
    assert refused.status == 403  # authorization comes first
    headers = {
        "Impersonate_User": "jane",
        "Impersonate_Group": "system:masters",
        "Impersonate_Extra_Some%2fKey": "v w",
        "Impersonate_Uid": "u-1",
    }
    assert (await http("GET", FLUNDERS, **headers)).status == 200
    seen = {k.lower(): v for k, v in sample.server.asked[-1][2]}
    assert (seen["x-remote-user"], seen["x-remote-uid"]) == ("jane", "u-1")
    assert seen["x-remote-extra-some%2fkey"] == "v w"
    assert not [name for name in seen if name.startswith("impersonate-")]


async def test_watches_and_upgrades_pass_through(http: Http, sample: Sample) -> None:
    await sample.connect()
    await sample.register()
    await sample.condition("Passed")
    async with http.session.get(http.url(f"{FLUNDERS}?watch=true")) as stream:
        assert stream.status == 200
        for number in range(2):
            await sample.server.changes.put({"type": "ADDED", "object": {"n": number}})
            line = await asyncio.wait_for(stream.content.readline(), 5)
            assert json.loads(line)["object"] == {"n": number}
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", http.server.port, ssl=http.server.tls()
    )
    writer.write(
        f"GET {BASE}/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode()
    )
    assert b" 101 " in await asyncio.wait_for(reader.readline(), 5)
    await reader.readuntil(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readline(), 5) == b"hello kubernetes-super-admin\n"
    writer.close()


async def test_discovery_and_openapi_are_merged(http: Http, sample: Sample) -> None:
    await sample.connect()
    await sample.register()
    await sample.condition("Passed")
    groups = (await http("GET", "/apis")).body["groups"]
    names = [one["name"] for one in groups]
    assert names.index(GROUP) > names.index("flowcontrol.apiserver.k8s.io")
    group = (await http("GET", f"/apis/{GROUP}")).body
    assert group["preferredVersion"] == {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    answer = await http("GET", "/apis", Accept=V2)
    (entry,) = [one for one in answer.body["items"] if one["metadata"]["name"] == GROUP]
    kind = {"group": GROUP, "version": VERSION, "kind": "Flunder"}
    assert entry["versions"] == [
        {
            "version": VERSION,
            "freshness": "Current",
            "resources": [
                {
                    "resource": "flunders",
                    "responseKind": kind,
                    "scope": "Namespaced",
                    "singularResource": "flunder",
                    "verbs": VERBS,
                    "subresources": [
                        {"subresource": "status", "responseKind": kind, "verbs": ["get"]}
                    ],
                }
            ],
        }
    ]
    index = await sample.until(
        "/openapi/v3", lambda answer: BASE.strip("/") in answer.body["paths"]
    )
    url = index.body["paths"][BASE.strip("/")]["serverRelativeURL"]
    assert f"{BASE}/flunders" in (await http("GET", url)).body["paths"]
    swagger = (await http("GET", "/openapi/v2")).body
    operation = swagger["paths"][f"{BASE}/flunders"]["get"]
    assert operation["responses"]["200"]["schema"]["$ref"].endswith(".Flunder")
    own = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
    flunder = swagger["definitions"]["com.example.wardle.Flunder"]
    assert flunder["properties"]["status"]["$ref"] == f"#/definitions/{own}_v2"
    assert "odd" in swagger["definitions"][f"{own}_v2"]["properties"]
    assert "odd" not in swagger["definitions"][own]["properties"]
    assert (await http("GET", "/version/")).body["major"] == "1"


async def test_what_is_missing_is_told_and_answers_503(http: Http, sample: Sample) -> None:
    await sample.register()
    verdict = await sample.condition("ServiceNotFound")
    assert verdict["message"] == 'service/sample-api in "aggregator" is not present'
    refused = await http("GET", FLUNDERS)
    assert (refused.status, refused.body) == (503, "service unavailable\n")
    service = {"metadata": {"name": "sample-api"}, "spec": {"ports": [{"port": 1}]}}
    path = "/api/v1/namespaces/aggregator/services"
    await http("POST", path, service)
    verdict = await sample.condition("ServicePortError")
    assert verdict["message"].endswith('in "aggregator" is not listening on port 7443')
    patch = json.dumps([{"op": "replace", "path": "/spec/ports/0/port", "value": 7443}])
    await http("PATCH", f"{path}/sample-api", patch, Content_Type="application/json-patch+json")
    await sample.condition("EndpointsNotFound")
    sample.server.healthy = False
    await sample.listen()
    verdict = await sample.condition("FailedDiscoveryCheck")
    assert verdict["message"].endswith(": 500"), verdict
    answer = await http("GET", "/apis", Accept=V2)
    (entry,) = [one for one in answer.body["items"] if one["metadata"]["name"] == GROUP]
    assert entry["versions"] == [{"version": VERSION, "resources": [], "freshness": "Stale"}]
    sample.server.healthy = True
    await sample.condition("Passed")
    assert (await http("GET", FLUNDERS)).status == 200


async def test_a_server_that_cannot_prove_itself_is_not_asked(http: Http, sample: Sample) -> None:
    await sample.connect()
    other = (http.server.directory / "pki/front-proxy-ca.crt").read_bytes()
    await sample.register(caBundle=base64.b64encode(other).decode())
    verdict = await sample.condition("FailedDiscoveryCheck")
    assert "certificate" in verdict["message"]
    patch = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
    answer = await http(
        "PATCH",
        f"{SERVICES}/{NAME}",
        patch,
        Content_Type="application/merge-patch+json",
    )
    assert answer.status == 200, answer.body
    await sample.condition("Passed")
    assert (await http("GET", FLUNDERS)).status == 200


async def test_the_status_is_written_by_others_too(http: Http, sample: Sample) -> None:
    """The rest of what the conformance test of the sample API server does."""
    await sample.connect()
    await sample.register()
    await sample.condition("Passed")
    path = f"{SERVICES}/{NAME}"
    patch = {"spec": {"versionPriority": 400}, "metadata": {"labels": {"e2e": "sample"}}}
    answer = await http("PATCH", path, patch, Content_Type="application/merge-patch+json")
    assert answer.body["spec"]["versionPriority"] == 400
    current = (await http("GET", f"{path}/status")).body
    current["status"]["conditions"].append(
        {
            "type": "StatusUpdated",
            "status": "True",
            "reason": "E2E",
            "message": "Set from e2e test",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    )
    assert (await http("PUT", f"{path}/status", current)).status == 200
    await http("DELETE", "/apis/discovery.k8s.io/v1/namespaces/aggregator/endpointslices/sample")
    await sample.condition("EndpointsNotFound")
    types = [one["type"] for one in (await http("GET", path)).body["status"]["conditions"]]
    assert types == ["Available", "StatusUpdated"]
    gone = await http("DELETE", f"{SERVICES}?labelSelector=e2e%3Dsample")
    assert gone.status == 200
    await sample.until(f"/apis/{GROUP}", lambda answer: answer.status == 404)
    assert (await http("GET", FLUNDERS)).status == 404


async def test_groups_of_custom_resources_have_their_api_services(http: Http) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    schema = {"openAPIV3Schema": {"type": "object"}}
    definition = {
        "metadata": {"name": "rows.registered.example.com"},
        "spec": {
            "group": "registered.example.com",
            "scope": "Namespaced",
            "names": {"plural": "rows", "kind": "Row"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    assert (await http("POST", path, definition)).status == 201
    one = Sample(http, None, "")  # type: ignore[arg-type] # only `until`, which asks no extension server
    service = f"{SERVICES}/v1.registered.example.com"
    found = (await one.until(service, lambda answer: answer.status == 200)).body
    assert found["spec"]["versionPriority"] == 100
    assert found["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    await http("DELETE", service)
    await one.until(service, lambda answer: answer.status == 200)
    await http("DELETE", f"{path}/rows.registered.example.com")
    await one.until(service, lambda answer: answer.status == 404)
