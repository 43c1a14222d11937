"""rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_subdomain, path_segment
from kubeinstall.api.validation.labels import check_label_selector

_GROUP = "rbac.authorization.k8s.io"


def check_role(errors: Errors, role: Object) -> None:
    """A Role."""
    _check_rules(errors, role.get("rules") or [], namespaced=True)


def check_cluster_role(errors: Errors, role: Object) -> None:
    """A ClusterRole; an aggregated one selects others."""
    _check_rules(errors, role.get("rules") or [], namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return
    selectors = aggregation.get("clusterRoleSelectors") or []
    if not selectors:
        errors.required(
            "aggregationRule.clusterRoleSelectors",
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        )
    for index, selector in enumerate(selectors):
        check_label_selector(errors, selector, f"aggregationRule.clusterRoleSelectors[{index}]")


def _check_rules(errors: Errors, rules: list[Object], *, namespaced: bool) -> None:
    for index, rule in enumerate(rules):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            errors.required(f"{at}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs") or []
        if urls:
            if namespaced:
                message = "namespaced rules cannot apply to non-resource URLs"
                errors.invalid(f"{at}.nonResourceURLs", urls, message)
            if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
                message = "rules cannot apply to both regular resources and non-resource URLs"
                errors.invalid(f"{at}.nonResourceURLs", urls, message)
            continue
        if not rule.get("apiGroups"):
            errors.required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            errors.required(f"{at}.resources", "resource rules must supply at least one resource")


def check_binding(errors: Errors, binding: Object) -> None:
    """A RoleBinding."""
    _check_binding(errors, binding, ("Role", "ClusterRole"), namespaced=True)


def check_cluster_binding(errors: Errors, binding: Object) -> None:
    """A ClusterRoleBinding."""
    _check_binding(errors, binding, ("ClusterRole",), namespaced=False)


def _check_binding(
    errors: Errors, binding: Object, kinds: tuple[str, ...], *, namespaced: bool
) -> None:
    reference = binding.get("roleRef") or {}
    if reference.get("apiGroup", "") != _GROUP:
        errors.not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (_GROUP,))
    errors.one_of("roleRef.kind", reference.get("kind", ""), kinds)
    name = reference.get("name", "")
    if not name:
        errors.required("roleRef.name")
    else:
        errors.each("roleRef.name", name, path_segment(name))
    for index, subject in enumerate(binding.get("subjects") or []):
        _check_subject(errors, subject, f"subjects[{index}]", namespaced=namespaced)


def _check_subject(errors: Errors, subject: Object, path: str, *, namespaced: bool) -> None:
    kind, name, group = (
        subject.get("kind", ""),
        subject.get("name", ""),
        subject.get("apiGroup", ""),
    )
    if not name:
        errors.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            errors.each(f"{path}.name", name, dns1123_subdomain(name))
        if group:
            errors.not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            errors.required(f"{path}.namespace")
    elif kind in {"User", "Group"}:
        if group != _GROUP:
            errors.not_supported(f"{path}.apiGroup", group, (_GROUP,))
    else:
        errors.not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def check_binding_update(errors: Errors, new: Object, old: Object) -> None:
    """A RoleBinding's role is fixed."""
    check_binding(errors, new)
    _check_role_ref(errors, new, old)


def check_cluster_binding_update(errors: Errors, new: Object, old: Object) -> None:
    """A ClusterRoleBinding's role is fixed."""
    check_cluster_binding(errors, new)
    _check_role_ref(errors, new, old)


def _check_role_ref(errors: Errors, new: Object, old: Object) -> None:
    if new.get("roleRef") != old.get("roleRef"):
        errors.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")
