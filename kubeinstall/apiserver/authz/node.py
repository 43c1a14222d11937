"""The Node authorizer: a kubelet may read what its pods need and write what it reports.

Upstream documentation: "Using Node Authorization". Reasons are upstream's words, because they end
up in the message of the 403 answer.
"""

from __future__ import annotations

from kubeinstall.apiserver.authz.graph import NodeGraph
from kubeinstall.apiserver.authz.rules import CompiledRule, allows
from kubeinstall.apiserver.request import Attributes, Decision, User

NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"

_ALLOW = Decision(True)
_OWN_VERBS = ("get", "create", "update", "patch", "delete")
_READ = ("get", "list", "watch")


def node_name(user: User) -> str | None:
    """The node that the user is (`""`: a node that does not say which), or None."""
    if NODES_GROUP not in user.groups or not user.name.startswith(NODE_PREFIX):
        return None
    return user.name.removeprefix(NODE_PREFIX)


class NodeAuthorizer:
    """Verdicts for members of `system:nodes`; anybody else gets no opinion."""

    def __init__(self, graph: NodeGraph, rules: tuple[CompiledRule, ...]) -> None:
        self._graph = graph
        self._rules = rules

    def authorize(self, a: Attributes) -> Decision:
        """Allowed, or no opinion with a reason."""
        node = node_name(a.user)
        if node is None:
            return Decision(False)
        if not node:
            return Decision(False, f'unknown node for user "{a.user.name}"')
        if a.is_resource:
            special = self._special(node, a)
            if special is not None:
                return special
        return _ALLOW if allows(self._rules, a) else Decision(False)

    def _special(self, node: str, a: Attributes) -> Decision | None:
        """The verdict for resources that a node may use only in part; None for all others."""
        if a.group == "":
            return self._core(node, a)
        match (a.group, a.resource):
            case ("resource.k8s.io", "resourceclaims"):
                return self._get(node, a)
            case ("storage.k8s.io", "volumeattachments"):
                return self._get(node, a)
            case ("coordination.k8s.io", "leases"):
                return _lease(node, a)
            case ("storage.k8s.io", "csinodes"):
                return _csi_node(node, a)
            case ("resource.k8s.io", "resourceslices"):
                return _resource_slice(node, a)
        return None

    def _core(self, node: str, a: Attributes) -> Decision | None:
        match a.resource:
            case "secrets" | "configmaps":
                return self._read(node, a)
            case "persistentvolumeclaims" if a.subresource == "status":
                return self._status(node, a)
            case "persistentvolumeclaims" | "persistentvolumes":
                return self._get(node, a)
            case "serviceaccounts":
                return self._service_account(node, a)
            case "nodes":
                return _node(node, a)
            case "pods":
                return self._pod(node, a)
        return None

    def _related(self, node: str, a: Attributes, plural: str = "") -> Decision:
        if not a.name:
            return Decision(False, "No Object name found")
        if self._graph.reaches(node, plural or a.resource, a.namespace, a.name):
            return _ALLOW
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _read(self, node: str, a: Attributes) -> Decision:
        if a.verb not in _READ:
            return Decision(False, "can only read resources of this type")
        if a.subresource:
            return Decision(False, "cannot read subresource")
        if not a.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, a)

    def _get(self, node: str, a: Attributes) -> Decision:
        if a.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if a.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, a)

    def _status(self, node: str, a: Attributes) -> Decision:
        if a.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._related(node, a)

    def _service_account(self, node: str, a: Attributes) -> Decision:
        if a.verb == "get" and not a.subresource:
            return self._related(node, a)
        if a.verb != "create" or a.subresource != "token":
            return Decision(False, "can only create tokens for individual service accounts")
        return self._related(node, a)

    def _pod(self, node: str, a: Attributes) -> Decision:
        match (a.subresource, a.verb):
            case ("", "get"):
                return self._related(node, a)
            case ("", "list" | "watch"):
                if _selects(a.field_selector, "spec.nodeName", node):
                    return _ALLOW
                return Decision(False, "can only list/watch pods with spec.nodeName field selector")
            case (
                ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create")
            ):
                return _ALLOW
        return Decision(False)


def _node(node: str, a: Attributes) -> Decision:
    match (a.subresource, a.verb):
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return _ALLOW
        case ("", "get" | "list" | "watch"):
            if a.name == node:
                return _ALLOW
            what = f"'{a.name}'" if a.name else "all nodes"
            return Decision(False, f"node '{node}' cannot read {what}, only its own Node object")
    return Decision(False)


def _lease(node: str, a: Attributes) -> Decision:
    if a.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if a.namespace != LEASE_NAMESPACE:
        return Decision(
            False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        )
    if a.verb != "create" and a.name != node:
        return Decision(
            False, "can only access node lease with the same name as the requesting node"
        )
    return _ALLOW


def _csi_node(node: str, a: Attributes) -> Decision:
    if a.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if a.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if a.verb != "create" and a.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return _ALLOW


def _resource_slice(node: str, a: Attributes) -> Decision:
    if a.subresource:
        return Decision(False, "cannot authorize ResourceSlice subresources")
    if a.verb in ("get", "create", "update", "patch", "delete"):
        return _ALLOW
    if a.verb in ("list", "watch", "deletecollection"):
        if _selects(a.field_selector, "spec.nodeName", node):
            return _ALLOW
        return Decision(
            False,
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        )
    return Decision(
        False,
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, "
        "create, update, patch, delete, deletecollection",
    )


def _selects(selector: str, field: str, value: str) -> bool:
    """Whether the selector demands `field=value`."""
    for term in selector.split(","):
        key, equals, wanted = term.partition("=")
        if equals and key.strip() == field and wanted.removeprefix("=").strip() == value:
            return True
    return False
