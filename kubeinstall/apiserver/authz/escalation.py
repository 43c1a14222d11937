"""Nobody grants what they do not have: checks on writes to roles and bindings.

Upstream documentation: "Privilege escalation prevention and bootstrapping". A writer must hold
every permission of the role, or hold the verb `escalate` (roles) or `bind` (bindings) on it.
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.authorizer import Authorizer, forbidden_object
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP
from kubeinstall.apiserver.authz.rules import compact, describe, quote_list, uncovered
from kubeinstall.apiserver.request import MASTERS_GROUP, AdmissionAttributes, Attributes, User
from kubeinstall.errors import Forbidden

_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
_EVERYTHING = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


def check(authorizer: Authorizer, attributes: AdmissionAttributes) -> None:
    """Raise `Forbidden` when the write would grant more than the writer has."""
    resource, obj = attributes.resource, attributes.object
    if resource.group != RBAC_GROUP or obj is None or MASTERS_GROUP in attributes.user.groups:
        return
    if resource.name in _ROLES:
        _check_role(authorizer, attributes, obj)
    elif resource.name in _BINDINGS:
        _check_binding(authorizer, attributes, obj)


def _check_role(authorizer: Authorizer, attributes: AdmissionAttributes, obj: Object) -> None:
    old = attributes.old
    if old is not None and all(
        (old.get(field) or None) == (obj.get(field) or None)
        for field in ("rules", "aggregationRule")
    ):
        return
    name = obj["metadata"].get("name", "")
    if _holds(authorizer, attributes, "escalate", attributes.resource.name, name):
        return
    user, namespace = attributes.user, attributes.namespace
    if obj.get("aggregationRule") and uncovered(_owned(authorizer, user, ""), _EVERYTHING):
        raise _forbid(attributes, "must have cluster-admin privileges to use an aggregationRule")
    _confirm(authorizer, attributes, obj.get("rules") or [], namespace)


def _check_binding(authorizer: Authorizer, attributes: AdmissionAttributes, obj: Object) -> None:
    old = attributes.old
    if old is not None and all(
        old.get(field) == obj.get(field) for field in ("subjects", "roleRef")
    ):
        return
    reference = obj.get("roleRef") or {}
    role_kind, role_name = reference.get("kind", ""), reference.get("name", "")
    plural = "clusterroles" if role_kind == "ClusterRole" else "roles"
    if _holds(authorizer, attributes, "bind", plural, role_name):
        return
    rules = authorizer.rbac.role_rules(role_kind, role_name, attributes.namespace)
    _confirm(authorizer, attributes, rules, attributes.namespace)


def _holds(
    authorizer: Authorizer, attributes: AdmissionAttributes, verb: str, plural: str, name: str
) -> bool:
    return authorizer.authorize(
        Attributes(
            attributes.user,
            verb,
            RBAC_GROUP,
            "v1",
            plural,
            namespace=attributes.namespace,
            name=name,
        )
    ).allowed


def _owned(authorizer: Authorizer, user: User, namespace: str) -> list[Object]:
    return [grant.rule for grant in authorizer.rbac.resolve(user, namespace).grants]


def _confirm(
    authorizer: Authorizer, attributes: AdmissionAttributes, rules: list[Object], namespace: str
) -> None:
    user = attributes.user
    missing = uncovered(_owned(authorizer, user, namespace), rules)
    if not missing:
        return
    shown = "\n".join(sorted({describe(rule) for rule in compact(missing)}))
    why = (
        f'user "{user.name}" (groups={quote_list(user.groups)}) is attempting to grant RBAC '
        f"permissions not currently held:\n{shown}"
    )
    errors = authorizer.rbac.resolve(user, namespace).errors
    if errors:
        why += f"; resolution errors: [{', '.join(errors)}]"
    raise _forbid(attributes, why)


def _forbid(attributes: AdmissionAttributes, why: str) -> Forbidden:
    return forbidden_object(
        RBAC_GROUP,
        attributes.resource.name,
        (attributes.object or {})["metadata"].get("name", ""),
        why,
    )
