"""The authorizer that requests meet: the configured modes in turn, behind a bounded cache.

A verdict that does not depend on the object's name is cached without it, so that reading ten
thousand pods asks once. Every change of an RBAC object empties the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeinstall.apiserver.authz.graph import NodeGraph
from kubeinstall.apiserver.authz.node import NodeAuthorizer, node_name
from kubeinstall.apiserver.authz.rbac import RBAC
from kubeinstall.apiserver.authz.rules import CompiledRule, compile_rule
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import MASTERS_GROUP, Attributes, Decision, User
from kubeinstall.errors import Forbidden, SettingsError

MODES = ("Node", "RBAC", "AlwaysAllow", "AlwaysDeny")
_MAX_CACHED = 16384
_ALLOW = Decision(True)


class Authorizer:
    """Decides on requests; `modes` are the values of `--authorization-mode`, in order."""

    def __init__(self, registry: Registry, modes: Sequence[str] = ("Node", "RBAC")) -> None:
        unknown = [mode for mode in modes if mode not in MODES]
        if unknown or not modes:
            raise SettingsError(
                f"--authorization-mode: {', '.join(unknown) or 'empty'}; choose from "
                f"{', '.join(MODES)}"
            )
        self._modes = tuple(modes)
        self._cache: dict[Any, Decision] = {}
        self.rbac = RBAC(registry, self._cache.clear)
        self._node = NodeAuthorizer(NodeGraph(registry), _node_rules()) if "Node" in modes else None

    def authorize(self, attributes: Attributes) -> Decision:
        """Whether the request may go on, and why (or why not)."""
        user, verb, group, _, resource, subresource, namespace, name, path, is_resource, _, _ = (
            attributes
        )
        key = (
            (user, verb, group, resource, subresource, namespace)
            if is_resource
            else (user, verb, path)
        )
        found = self._cache.get(key) or self._cache.get((key, name))
        return found if found is not None else self._decide(key, attributes)

    def rules_for(self, user: User, namespace: str) -> tuple[list[Any], tuple[str, ...], bool]:
        """The user's rules, errors met, and whether the list is incomplete."""
        rules: list[Any] = []
        errors: tuple[str, ...] = ()
        incomplete = False
        for mode in self._modes:
            if mode == "RBAC":
                resolution = self.rbac.resolve(user, namespace)
                rules.extend(grant.rule for grant in resolution.grants)
                errors += resolution.errors
            elif mode == "Node" and node_name(user) is not None:
                errors += ("node authorizer does not support user rule resolution",)
                incomplete = True
            elif mode == "AlwaysAllow":
                rules.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
                rules.append({"nonResourceURLs": ["*"], "verbs": ["*"]})
        return rules, errors, incomplete or bool(errors)

    def _decide(self, key: Any, attributes: Attributes) -> Decision:
        if MASTERS_GROUP in attributes.user.groups:
            return self._remember(key, _ALLOW)
        verdict, by_name = self._uncached(attributes)
        if self._node is not None and node_name(attributes.user) is not None:
            return verdict  # it depends on the pods that are bound to the node just now
        if by_name:
            return self._remember((key, attributes.name), verdict)
        return self._remember(key, verdict)

    def _uncached(self, attributes: Attributes) -> tuple[Decision, bool]:
        """The verdict, and whether it is for this object's name only."""
        reasons: list[str] = []
        by_name = False
        for mode in self._modes:
            if mode == "AlwaysAllow":
                return _ALLOW, by_name
            if mode == "AlwaysDeny":
                reasons.append("Everything is forbidden.")
                continue
            if mode == "RBAC":
                verdict, names = self.rbac.decide(attributes)
                by_name = by_name or names
            elif self._node is not None:
                verdict = self._node.authorize(attributes)
            if verdict.allowed:
                return verdict, by_name
            if verdict.reason:
                reasons.append(verdict.reason)
        return Decision(False, "\n".join(reasons)), by_name

    def _remember(self, key: Any, verdict: Decision) -> Decision:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[key] = verdict
        return verdict


def build(settings: ApiServerSettings, registry: Registry) -> Authorizer:
    """The authorizer that the settings ask for."""
    return Authorizer(registry, settings.authorization_mode)


def _node_rules() -> tuple[CompiledRule, ...]:
    # Imported late: the bootstrap package imports this one.
    from kubeinstall.apiserver.bootstrap.roles import node_rules

    return tuple(compile_rule(rule) for rule in node_rules())


def describe_denial(attributes: Attributes) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "y"`."""
    a = attributes
    if not a.is_resource:
        return f'User "{a.user.name}" cannot {a.verb} path "{a.path}"'
    resource = f"{a.resource}/{a.subresource}" if a.subresource else a.resource
    scope = f'in the namespace "{a.namespace}"' if a.namespace else "at the cluster scope"
    return (
        f'User "{a.user.name}" cannot {a.verb} resource "{resource}" '
        f'in API group "{a.group}" {scope}'
    )


def forbidden(attributes: Attributes, decision: Decision) -> Forbidden:
    """The answer to a refused request, in upstream's words."""
    why = describe_denial(attributes)
    if decision.reason:
        why = f"{why}: {decision.reason}"
    if not attributes.is_resource:
        return forbidden_object("", "", "", why)
    return forbidden_object(attributes.group, attributes.resource, attributes.name, why)


def forbidden_object(group: str, plural: str, name: str, why: str) -> Forbidden:
    """`pods.group "name" is forbidden: why`, with details."""
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if plural:
        details["kind"] = plural
    qualified = f"{plural}.{group}" if group else plural
    if not plural:
        message = f"forbidden: {why}"
    elif name:
        message = f'{qualified} "{name}" is forbidden: {why}'
    else:
        message = f"{qualified} is forbidden: {why}"
    return Forbidden(message, details=details)
