"""Keep the default RBAC objects as upstream's post-start hook `rbac/bootstrap-roles` does.

Missing objects are created. Existing ones that still carry the annotation
`rbac.authorization.kubernetes.io/autoupdate: "true"` get the labels, annotations, rules or subjects
that are missing; nothing that an administrator added is taken away. A binding whose role changed is
replaced, because a role reference cannot be updated.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from kubeinstall.api.resources import Resource
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP, kind
from kubeinstall.apiserver.authz.rules import uncovered
from kubeinstall.apiserver.bootstrap import bindings, controllers, roles
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, NotFound

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}


async def ensure_policy(registry: Registry) -> None:
    """Create or repair all default roles and bindings, then fill the aggregated roles."""
    for resource, obj in default_objects():
        await _reconcile(registry, resource, obj)
    # view is part of edit, and edit of admin: in this order one pass is enough.
    for name in ("view", "edit", "admin"):
        await aggregate(registry, name)


def default_objects() -> Iterator[tuple[Resource, Object]]:
    """All default objects, roles before the bindings that name them."""
    cluster_role = kind("clusterroles", RBAC_GROUP)
    for name, rules in all_cluster_roles().items():
        yield cluster_role, _named(name, rules=rules)
    for name in roles.aggregated_roles():
        yield cluster_role, _named(name, aggregationRule=roles.aggregation_rule(name))
    for (namespace, name), rules in bindings.namespace_roles().items():
        yield kind("roles", RBAC_GROUP), _named(name, namespace, rules=rules)
    for name, (role, subjects) in all_cluster_role_bindings().items():
        yield (
            kind("clusterrolebindings", RBAC_GROUP),
            _named(
                name,
                roleRef=bindings.role_ref("ClusterRole", role),
                subjects=[bindings.subject(text) for text in subjects],
            ),
        )
    for (namespace, name), (role, subjects) in bindings.namespace_role_bindings().items():
        yield (
            kind("rolebindings", RBAC_GROUP),
            _named(
                name,
                namespace,
                roleRef=bindings.role_ref("Role", role),
                subjects=[bindings.subject(text) for text in subjects],
            ),
        )


def all_cluster_roles() -> dict[str, list[Object]]:
    """Rules of every default ClusterRole that is not aggregated."""
    named = {
        f"system:controller:{name}": rules for name, rules in controllers.controller_roles().items()
    }
    return {**roles.cluster_roles(), **named}


def all_cluster_role_bindings() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Role and subjects of every default ClusterRoleBinding."""
    named = {
        f"system:controller:{name}": (
            f"system:controller:{name}",
            (f"ServiceAccount:kube-system/{name}",),
        )
        for name in controllers.controller_roles()
    }
    return {**bindings.cluster_role_bindings(), **named}


def _named(name: str, namespace: str = "", **fields: object) -> Object:
    metadata: Object = {
        "name": name,
        "labels": {**_LABELS, **roles.role_labels(name)},
        "annotations": {AUTOUPDATE: "true"},
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata, **fields}


async def _reconcile(registry: Registry, resource: Resource, wanted: Object) -> None:
    name = wanted["metadata"]["name"]
    namespace = wanted["metadata"].get("namespace", "")
    try:
        present = registry.get(resource, name, namespace)
    except NotFound:
        await _create(registry, resource, wanted)
        return
    if not _may_update(present):
        return
    if "roleRef" in wanted and present.get("roleRef") != wanted["roleRef"]:
        await registry.delete(resource, namespace, name)
        await _create(registry, resource, wanted)
        return
    if repaired(present, wanted) is not None:
        await registry.update(
            resource,
            namespace,
            name,
            lambda current: repaired(current, wanted) if _may_update(current) else None,
        )


async def _create(registry: Registry, resource: Resource, wanted: Object) -> None:
    obj = copy.deepcopy(wanted)
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    try:
        await registry.create(resource, obj)
    except AlreadyExists:
        return  # another API server of this cluster was faster


def _may_update(present: Object) -> bool:
    annotations = present["metadata"].get("annotations") or {}
    return annotations.get(AUTOUPDATE) == "true"


def repaired(present: Object, wanted: Object) -> Object | None:
    """`present` with everything of `wanted` that it lacks; None when it lacks nothing."""
    changed = False
    result = copy.deepcopy(present)
    for field in ("labels", "annotations"):
        for key, value in wanted["metadata"].get(field, {}).items():
            if (result["metadata"].get(field) or {}).get(key) != value:
                result["metadata"].setdefault(field, {})[key] = value
                changed = True
    if "aggregationRule" in wanted:
        if result.get("aggregationRule") != wanted["aggregationRule"]:
            result["aggregationRule"] = copy.deepcopy(wanted["aggregationRule"])
            changed = True
    elif "rules" in wanted:
        missing = uncovered(result.get("rules") or [], wanted["rules"])
        if missing:
            result["rules"] = [*(result.get("rules") or []), *copy.deepcopy(missing)]
            changed = True
    for subject in wanted.get("subjects", ()):
        if subject not in (result.get("subjects") or []):
            result["subjects"] = [*(result.get("subjects") or []), dict(subject)]
            changed = True
    return result if changed else None


async def aggregate(registry: Registry, name: str) -> None:
    """Set an aggregated ClusterRole's rules to those of the roles that it selects."""
    resource = kind("clusterroles", RBAC_GROUP)
    role = registry.get(resource, name)
    rules = aggregated_rules(registry, role)
    if (role.get("rules") or []) == rules:
        return
    config = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        "rules": rules,
    }
    await registry.apply(resource, config, manager="clusterrole-aggregation-controller")


def aggregated_rules(registry: Registry, role: Object) -> list[Object]:
    """The rules that `role`'s aggregation rule selects: each once, roles in order of name."""
    found: list[Object] = []
    everything = sorted(
        registry.list(kind("clusterroles", RBAC_GROUP)),
        key=lambda item: str(item["metadata"]["name"]),
    )
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        matcher = LabelSelector.from_object(selector)
        for candidate in everything:
            metadata = candidate["metadata"]
            if metadata["name"] == role["metadata"]["name"]:
                continue
            if matcher.matches(metadata.get("labels") or {}):
                found.extend(rule for rule in candidate.get("rules") or () if rule not in found)
    return found
