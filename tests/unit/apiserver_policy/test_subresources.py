"""Reviews, token requests, bindings and evictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.chain import Chain
from kubeinstall.apiserver.authn.authenticator import Authenticator
from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP, kind
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.interfaces import Services
from kubeinstall.apiserver.request import RequestInfo, SubresourceContext, User
from kubeinstall.apiserver.subresources import HANDLERS
from kubeinstall.errors import BadRequest, Conflict, Invalid, StatusError, TooManyRequests
from tests.unit.apiserver_policy.memory import MemoryRegistry, pod

JANE = User("jane", "u1", ("dev", "system:authenticated"))
ISSUER = "https://issuer"


class World:
    """Services over a registry in memory, and requests to them."""

    def __init__(self, directory: Path) -> None:
        self.registry = MemoryRegistry()
        key = ec.generate_private_key(ec.SECP256R1())
        path = directory / "sa.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.tokens = ServiceAccountTokens(
            self.registry, issuers=[ISSUER], audiences=[ISSUER], signing_key_file=path
        )
        self.services = Services(
            ApiServerSettings(tls_cert_file=path, tls_private_key_file=path),
            self.registry,
            Authenticator(tokens=self.tokens),
            Authorizer(self.registry),
            Chain([]),
            {},
        )

    async def post(
        self,
        plural: str,
        subresource: str = "",
        *,
        group: str = "",
        name: str = "",
        namespace: str = "ns",
        body: Object | None = None,
        dry_run: bool = False,
    ) -> Object:
        info = RequestInfo(
            path="/",
            verb="create",
            is_resource=True,
            group=group,
            version="v1",
            namespace=namespace,
            resource=plural,
            subresource=subresource,
            name=name,
        )
        context = SubresourceContext(
            registry=self.registry,
            info=info,
            resource=kind(plural, group),
            user=JANE,
            body={"metadata": {}, **(body or {})},
            query={},
            services=self.services,
            dry_run=dry_run,
        )
        return await HANDLERS[(group, plural, subresource)](context)

    def pod(self, name: str = "p") -> Any:
        return self.registry.objects[("", "pods")].get(("ns", name))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


AUTHORIZATION = "authorization.k8s.io"
ASKED = {"resourceAttributes": {"namespace": "ns", "verb": "get", "resource": "pods"}}


async def test_access_reviews(world: World) -> None:
    answer = await world.post(
        "subjectaccessreviews", group=AUTHORIZATION, body={"spec": {**ASKED, "user": "joe"}}
    )
    assert answer["status"] == {"allowed": False}
    answer = await world.post(
        "subjectaccessreviews",
        group=AUTHORIZATION,
        body={"spec": {**ASKED, "user": "joe", "groups": ["system:masters"]}},
    )
    assert answer["status"] == {"allowed": True}
    answer = await world.post("selfsubjectaccessreviews", group=AUTHORIZATION, body={"spec": ASKED})
    assert answer["status"] == {"allowed": False}
    with pytest.raises(BadRequest, match="must match namespace: other"):
        await world.post(
            "localsubjectaccessreviews",
            group=AUTHORIZATION,
            namespace="other",
            body={"spec": {**ASKED, "user": "joe"}},
        )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"spec": ASKED}, 'spec.user: Invalid value: "": at least one of user or group'),
        ({"spec": {"user": "joe"}}, "exactly one of nonResourceAttributes or resourceAttributes"),
        (
            {"spec": {**ASKED, "nonResourceAttributes": {"path": "/"}, "user": "joe"}},
            "cannot be specified in combination with resourceAttributes",
        ),
        (
            {"metadata": {"name": "x"}, "spec": {**ASKED, "user": "joe"}},
            'metadata: Invalid value: {"name":"x"}: must be empty',
        ),
    ],
)
async def test_bad_access_reviews(world: World, body: Object, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.post("subjectaccessreviews", group=AUTHORIZATION, body=body)
    assert told in caught.value.message
    assert caught.value.message.startswith('.authorization.k8s.io "" is invalid')
    assert "kind" not in (caught.value.details or {})


async def test_rules_review(world: World) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    urls = {"nonResourceURLs": ["/x"], "verbs": ["get"]}
    world.registry.put(
        "clusterroles", {"metadata": {"name": "r"}, "rules": [rule, urls]}, RBAC_GROUP
    )
    world.registry.put(
        "clusterrolebindings",
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "Group", "name": "dev"}],
        },
        RBAC_GROUP,
    )
    answer = await world.post(
        "selfsubjectrulesreviews", group=AUTHORIZATION, body={"spec": {"namespace": "ns"}}
    )
    assert answer["status"] == {
        "resourceRules": [rule],
        "nonResourceRules": [urls],
        "incomplete": False,
    }


async def test_who_am_i(world: World) -> None:
    answer = await world.post("selfsubjectreviews", group="authentication.k8s.io")
    assert answer["status"]["userInfo"] == {
        "username": "jane",
        "uid": "u1",
        "groups": ["dev", "system:authenticated"],
    }


async def request(world: World, **spec: object) -> Object:
    return await world.post("serviceaccounts", "token", name="bot", body={"spec": spec})


async def test_token_and_its_review(world: World) -> None:
    world.registry.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "ns"}})
    answer = await request(world)
    token = answer["status"]["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == [ISSUER]
    assert claims["exp"] - claims["iat"] == 3600
    group = "authentication.k8s.io"
    review = await world.post("tokenreviews", group=group, body={"spec": {"token": token}})
    assert review["status"]["authenticated"] is True
    assert review["status"]["user"]["username"] == "system:serviceaccount:ns:bot"
    assert review["status"]["user"]["groups"][-1] == "system:authenticated"
    review = await world.post(
        "tokenreviews", group=group, body={"spec": {"token": token, "audiences": ["x"]}}
    )
    assert review["status"] == {"user": {}, "error": "invalid bearer token"}
    with pytest.raises(BadRequest, match="token is required for TokenReview in authentication"):
        await world.post("tokenreviews", group=group, body={"spec": {"token": ""}})


async def test_bound_tokens(world: World) -> None:
    world.registry.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "ns"}})
    world.registry.put("nodes", {"metadata": {"name": "n1", "uid": "node-uid"}})
    bound = world.registry.put("pods", pod(serviceAccountName="bot", nodeName="n1"))
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": bound["metadata"]["uid"]}
    answer = await request(world, boundObjectRef=reference, expirationSeconds=3607)
    claims = jwt.decode(answer["status"]["token"], options={"verify_signature": False})
    assert claims["kubernetes.io"]["pod"] == {"name": "p", "uid": bound["metadata"]["uid"]}
    assert claims["kubernetes.io"]["node"] == {"name": "n1", "uid": "node-uid"}
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600
    assert claims["kubernetes.io"]["warnafter"] == claims["iat"] + 3607
    with pytest.raises(Conflict, match="does not match the UID in record"):
        await request(world, boundObjectRef={**reference, "uid": "other"})
    world.registry.put("serviceaccounts", {"metadata": {"name": "x", "namespace": "ns"}})
    with pytest.raises(BadRequest, match="different serviceaccount name"):
        await world.post(
            "serviceaccounts", "token", name="x", body={"spec": {"boundObjectRef": reference}}
        )


async def test_short_tokens_are_refused(world: World) -> None:
    world.registry.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "ns"}})
    with pytest.raises(Invalid) as caught:
        await request(world, expirationSeconds=10)
    assert caught.value.message == (
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: '
        "10: may not specify a duration less than 10 minutes"
    )


async def bind(world: World, **target: str) -> Object:
    body = {"metadata": {"name": "p", "annotations": {"a": "b"}}, "target": target}
    return await world.post("pods", "binding", name="p", body=body)


async def test_binding(world: World) -> None:
    world.registry.put("pods", pod())
    with pytest.raises(StatusError) as caught:
        await bind(world, kind="Pod", name="n")
    assert (caught.value.status_code, caught.value.status_reason) == (500, "")
    assert caught.value.message == (
        'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'
    )
    assert (await bind(world, kind="Node", name="n1"))["status"] == "Success"
    bound = world.pod()
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"a": "b"}
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    with pytest.raises(Conflict) as again:
        await bind(world, name="n2")
    assert again.value.message == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}, "is being deleted"),
        ({"spec": {"schedulingGates": [{"name": "g"}]}}, "has non-empty .spec.schedulingGates"),
    ],
)
async def test_unbindable(world: World, change: Object, told: str) -> None:
    wanted = pod()
    for field, values in change.items():
        wanted[field].update(values)
    world.registry.put("pods", wanted)
    with pytest.raises(Conflict, match=told):
        await bind(world, name="n1")


def budget(allowed: int, **status: object) -> Object:
    return {
        "metadata": {"name": "b", "namespace": "ns", "generation": 1},
        "spec": {"selector": {"matchLabels": {"a": "b"}}},
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": allowed,
            "desiredHealthy": 1,
            "currentHealthy": 1,
            **status,
        },
    }


def running(ready: str = "True") -> Object:
    made = pod()
    made["metadata"]["labels"] = {"a": "b"}
    made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    return made


async def evict(world: World, **options: Any) -> Object:
    return await world.post(
        "pods", "eviction", name="p", body={"metadata": {"name": "p"}}, **options
    )


async def test_eviction_uses_the_budget_up(world: World) -> None:
    world.registry.put("poddisruptionbudgets", budget(1), "policy")
    world.registry.put("pods", running())
    await evict(world, dry_run=True)
    assert world.pod() is not None
    assert (await evict(world))["code"] == 201
    assert world.pod() is None
    left = world.registry.get(kind("poddisruptionbudgets", "policy"), "b", "ns")["status"]
    assert left["disruptionsAllowed"] == 0
    assert list(left["disruptedPods"]) == ["p"]
    world.registry.put("pods", running())
    with pytest.raises(TooManyRequests) as caught:
        await evict(world)
    assert caught.value.message == (
        "Cannot evict pod as it would violate the pod's disruption budget."
    )
    assert caught.value.details == {
        "causes": [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget b needs 1 healthy pods and has 1 currently",
            }
        ]
    }
    assert world.pod() is not None


async def test_a_budget_that_is_not_observed_yet(world: World) -> None:
    world.registry.put("poddisruptionbudgets", budget(5, observedGeneration=0), "policy")
    world.registry.put("pods", running())
    with pytest.raises(TooManyRequests) as caught:
        await evict(world)
    assert caught.value.retry_after == 10


async def test_pods_that_are_not_ready_cost_nothing(world: World) -> None:
    world.registry.put("poddisruptionbudgets", budget(0), "policy")
    world.registry.put("pods", running(ready="False"))
    await evict(world)
    assert world.pod() is None


async def test_two_budgets(world: World) -> None:
    world.registry.put("poddisruptionbudgets", budget(1), "policy")
    second = budget(1)
    second["metadata"]["name"] = "c"
    world.registry.put("poddisruptionbudgets", second, "policy")
    world.registry.put("pods", running())
    with pytest.raises(StatusError, match="more than one PodDisruptionBudget") as caught:
        await evict(world)
    assert caught.value.status_code == 500
