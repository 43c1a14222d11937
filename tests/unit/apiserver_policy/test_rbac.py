"""RBAC verdicts, reasons, caching, and refusing to grant what one does not have."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz import Authorizer, escalation, forbidden
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP
from kubeinstall.apiserver.request import UPDATE, Attributes, Decision, User
from kubeinstall.errors import Forbidden, NotFound, SettingsError
from tests.unit.apiserver_policy.memory import MemoryRegistry, write

JANE = User("jane", groups=("dev", "system:authenticated"))
ADMIN = User("root", groups=("system:masters",))


def role(name: str, *rules: Object, namespace: str = "ns") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "rules": list(rules)}


def binding(
    name: str, role_kind: str, role_name: str, subject: Object, namespace: str = ""
) -> Object:
    return {
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": role_name},
        "subjects": [subject],
    }


READ_PODS = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}
READER = {"metadata": {"name": "reader"}, "rules": [READ_PODS]}


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def ask(
    authorizer: Authorizer, user: User, verb: str, resource: str = "pods", **more: Any
) -> Decision:
    return authorizer.authorize(Attributes(user, verb, resource=resource, **more))


def test_nobody_may_anything(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    assert not ask(authorizer, JANE, "get", namespace="ns", name="a").allowed
    assert ask(authorizer, ADMIN, "get", namespace="ns", name="a").allowed


def test_role_binding_reaches_its_namespace_only(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    registry.put("clusterroles", READER, RBAC_GROUP)
    subject = {"kind": "User", "name": "jane"}
    registry.put("rolebindings", binding("b", "ClusterRole", "reader", subject, "ns"), RBAC_GROUP)
    decision = ask(authorizer, JANE, "list", namespace="ns")
    assert decision.allowed
    assert decision.reason == (
        'RBAC: allowed by RoleBinding "b/ns" of ClusterRole "reader" to User "jane"'
    )
    assert not ask(authorizer, JANE, "list", namespace="other").allowed
    assert not ask(authorizer, JANE, "list").allowed
    assert ask(authorizer, JANE, "get", namespace="ns", subresource="log").allowed
    assert not ask(authorizer, JANE, "get", namespace="ns", subresource="exec").allowed


def test_a_change_is_seen_at_once(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    assert not ask(authorizer, JANE, "list", namespace="ns").allowed
    registry.put("clusterroles", READER, RBAC_GROUP)
    registry.put(
        "clusterrolebindings",
        binding("b", "ClusterRole", "reader", {"kind": "Group", "name": "dev"}),
        RBAC_GROUP,
    )
    assert ask(authorizer, JANE, "list", namespace="ns").allowed
    assert not ask(authorizer, JANE, "delete", namespace="ns").allowed
    registry.put("clusterroles", {"metadata": {"name": "reader"}, "rules": []}, RBAC_GROUP)
    assert not ask(authorizer, JANE, "list", namespace="ns").allowed


def test_resource_names_and_the_cache(registry: MemoryRegistry) -> None:
    """A refusal without a name must not answer for a named object, nor the other way round."""
    authorizer = Authorizer(registry)
    named = {**READ_PODS, "resourceNames": ["mine"]}
    registry.put("roles", role("r", named), RBAC_GROUP)
    subject = {"kind": "ServiceAccount", "name": "bot", "namespace": "ns"}
    registry.put("rolebindings", binding("b", "Role", "r", subject, "ns"), RBAC_GROUP)
    bot = User("system:serviceaccount:ns:bot")
    for _ in range(2):
        assert not ask(authorizer, bot, "get", namespace="ns").allowed
        assert ask(authorizer, bot, "get", namespace="ns", name="mine").allowed
        assert not ask(authorizer, bot, "get", namespace="ns", name="other").allowed


@pytest.mark.parametrize(
    ("rule", "asked", "allowed"),
    [
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]}, "scale", True),
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]}, "status", False),
        ({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]}, "scale", False),
        ({"verbs": ["*"], "apiGroups": [""], "resources": ["*"]}, "scale", True),
    ],
)
def test_wildcards(registry: MemoryRegistry, rule: Object, asked: str, allowed: bool) -> None:
    authorizer = Authorizer(registry)
    registry.put("clusterroles", {"metadata": {"name": "w"}, "rules": [rule]}, RBAC_GROUP)
    subject = {"kind": "User", "name": "jane"}
    registry.put("clusterrolebindings", binding("w", "ClusterRole", "w", subject), RBAC_GROUP)
    assert ask(authorizer, JANE, "get", subresource=asked).allowed is allowed


def test_urls(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    rule = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}
    registry.put("clusterroles", {"metadata": {"name": "u"}, "rules": [rule]}, RBAC_GROUP)
    subject = {"kind": "User", "name": "jane"}
    registry.put("clusterrolebindings", binding("u", "ClusterRole", "u", subject), RBAC_GROUP)

    def may(path: str, verb: str = "get") -> bool:
        return authorizer.authorize(Attributes(JANE, verb, path=path, is_resource=False)).allowed

    assert may("/healthz")
    assert may("/apis/apps/v1")
    assert not may("/apis")
    assert not may("/healthz", "post")


def test_messages() -> None:
    asked = Attributes(JANE, "list", resource="pods", namespace="golden")
    error = forbidden(asked, Authorizer(MemoryRegistry()).authorize(asked))
    assert error.message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" '
        'in the namespace "golden"'
    )
    assert error.details == {"kind": "pods"}
    asked = Attributes(
        JANE, "create", "apps", resource="deployments", subresource="scale", name="d"
    )
    error = forbidden(asked, Authorizer(MemoryRegistry()).authorize(asked))
    assert error.message == (
        'deployments.apps "d" is forbidden: User "jane" cannot create resource '
        '"deployments/scale" in API group "apps" at the cluster scope'
    )
    asked = Attributes(JANE, "get", path="/metrics", is_resource=False)
    error = forbidden(asked, Authorizer(MemoryRegistry()).authorize(asked))
    assert error.message == 'forbidden: User "jane" cannot get path "/metrics"'


def test_missing_role_is_told(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    subject = {"kind": "User", "name": "jane"}
    registry.put("clusterrolebindings", binding("b", "ClusterRole", "gone", subject), RBAC_GROUP)
    assert ask(authorizer, JANE, "get").reason == (
        'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    )


def test_modes() -> None:
    assert Authorizer(MemoryRegistry(), ["AlwaysAllow"]).authorize(Attributes(JANE, "x")).allowed
    assert not Authorizer(MemoryRegistry(), ["AlwaysDeny"]).authorize(Attributes(JANE, "x")).allowed
    with pytest.raises(SettingsError, match="Webhook"):
        Authorizer(MemoryRegistry(), ["Webhook"])


def test_roles_cannot_grant_more_than_their_writer_has(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    registry.put("clusterroles", READER, RBAC_GROUP)
    subject = {"kind": "User", "name": "jane"}
    registry.put("clusterrolebindings", binding("b", "ClusterRole", "reader", subject), RBAC_GROUP)
    fine = role("fine", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
    escalation.check(authorizer, write("roles", fine, group=RBAC_GROUP, user=JANE))
    more = role("more", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]})
    with pytest.raises(Forbidden) as caught:
        escalation.check(authorizer, write("roles", more, group=RBAC_GROUP, user=JANE))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" '
        '(groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not '
        'currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    escalation.check(authorizer, write("roles", more, group=RBAC_GROUP, user=ADMIN))
    escalation.check(
        authorizer,
        write("roles", more, group=RBAC_GROUP, user=JANE, operation=UPDATE, old=more),
    )


def test_bindings_cannot_grant_more_either(registry: MemoryRegistry) -> None:
    authorizer = Authorizer(registry)
    wide = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    registry.put("clusterroles", {"metadata": {"name": "all"}, "rules": [wide]}, RBAC_GROUP)
    subject = {"kind": "User", "name": "jane"}
    wanted = binding("x", "ClusterRole", "all", subject, "ns")
    with pytest.raises(Forbidden, match="not currently held"):
        escalation.check(authorizer, write("rolebindings", wanted, group=RBAC_GROUP, user=JANE))
    gone = binding("x", "Role", "gone", subject, "ns")
    with pytest.raises(NotFound):
        escalation.check(authorizer, write("rolebindings", gone, group=RBAC_GROUP, user=JANE))
    may_bind = {"apiGroups": [RBAC_GROUP], "resources": ["clusterroles"], "verbs": ["bind"]}
    registry.put("clusterroles", {"metadata": {"name": "b"}, "rules": [may_bind]}, RBAC_GROUP)
    registry.put("clusterrolebindings", binding("b", "ClusterRole", "b", subject), RBAC_GROUP)
    escalation.check(authorizer, write("rolebindings", wanted, group=RBAC_GROUP, user=JANE))
