"""RBAC: who may do what, from Roles, ClusterRoles and their bindings as the watch cache has them.

Bindings are indexed by subject, so a verdict looks only at the bindings of the user and of the
user's groups. Rules of a (user, namespace) are gathered once and forgotten at the next change of
any RBAC object; there are few changes and many questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import RBAC_GROUP, kind
from kubeinstall.apiserver.authz.rules import CompiledRule, compile_rule
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import Attributes, Decision, User
from kubeinstall.errors import NotFound

_SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
_MAX_GATHERED = 4096


class Grant(NamedTuple):
    """A rule that a user holds, and why."""

    rule: Object
    compiled: CompiledRule
    reason: str


class Resolution(NamedTuple):
    """All grants of a user in a namespace ("" for cluster scope), and what could not be found."""

    grants: tuple[Grant, ...]
    errors: tuple[str, ...]


class _Binding(NamedTuple):
    namespace: str
    role_kind: str
    role_name: str
    reason: str


Subject = tuple[str, str]
_Key = tuple[str, str, str]  # kind, namespace, name
Observer = Callable[[], None]


class RBAC:
    """The RBAC authorizer and rule resolver."""

    def __init__(self, registry: Registry, on_change: Observer = lambda: None) -> None:
        self._roles: dict[tuple[str, str], list[tuple[Object, CompiledRule]]] = {}
        self._bindings: dict[_Key, list[tuple[Subject, _Binding]]] = {}
        # (subject, namespace or "") → binding's key → what it grants
        self._by_subject: dict[tuple[Subject, str], dict[_Key, list[_Binding]]] = {}
        self._gathered: dict[tuple[str, tuple[str, ...], str], Resolution] = {}
        self._on_change = on_change
        for plural in ("clusterroles", "roles"):
            registry.observe(kind(plural, RBAC_GROUP), self._role_changed)
        registry.observe(kind("clusterrolebindings", RBAC_GROUP), self._cluster_binding_changed)
        registry.observe(kind("rolebindings", RBAC_GROUP), self._binding_changed)

    def authorize(self, attributes: Attributes) -> Decision:
        """Allowed with the reason, or not, with what went wrong on the way if anything did."""
        return self.decide(attributes)[0]

    def decide(self, a: Attributes) -> tuple[Decision, bool]:
        """The verdict, and whether another object's name could get another one."""
        resolution = self.resolve(a.user, a.namespace)
        by_name = False
        for grant in resolution.grants:
            rule = grant.compiled
            if not a.is_resource:
                if rule.covers_url(a.verb, a.path):
                    return Decision(True, grant.reason), False
            elif rule.covers_kind(a.verb, a.group, a.resource, a.subresource):
                if not rule.names:
                    return Decision(True, grant.reason), False
                by_name = True
                if a.name in rule.names:
                    return Decision(True, grant.reason), True
        return Decision(False, _error_reason(resolution.errors)), by_name

    def resolve(self, user: User, namespace: str) -> Resolution:
        """Everything the user may do: cluster-wide grants first, then those of the namespace."""
        key = (user.name, user.groups, namespace)
        found = self._gathered.get(key)
        if found is None:
            if len(self._gathered) >= _MAX_GATHERED:
                self._gathered.clear()
            found = self._gathered[key] = self._gather(user, namespace)
        return found

    def role_rules(self, role_kind: str, name: str, namespace: str) -> list[Object]:
        """The rules that a `roleRef` stands for. Raises `NotFound`."""
        scope = "" if role_kind == "ClusterRole" else namespace
        found = self._roles.get((scope, name))
        if found is None:
            plural = "clusterroles" if role_kind == "ClusterRole" else "roles"
            raise NotFound.for_object(RBAC_GROUP, plural, name)
        return [rule for rule, _ in found]

    def _gather(self, user: User, namespace: str) -> Resolution:
        grants: list[Grant] = []
        errors: list[str] = []
        for binding in self._bindings_of(user, namespace):
            scope = "" if binding.role_kind == "ClusterRole" else binding.namespace
            rules = self._roles.get((scope, binding.role_name))
            if rules is None:
                singular = "clusterrole" if binding.role_kind == "ClusterRole" else "role"
                errors.append(f'{singular}.{RBAC_GROUP} "{binding.role_name}" not found')
                continue
            grants.extend(Grant(rule, compiled, binding.reason) for rule, compiled in rules)
        return Resolution(tuple(grants), tuple(errors))

    def _bindings_of(self, user: User, namespace: str) -> Iterator[_Binding]:
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        scopes = ("", namespace) if namespace else ("",)
        for scope in scopes:
            found = [
                (key, binding)
                for subject in subjects
                for key, bindings in self._by_subject.get((subject, scope), {}).items()
                for binding in bindings
            ]
            found.sort(key=lambda item: item[0])
            for _, binding in found:
                yield binding

    def _role_changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if new is None:
            self._roles.pop(key, None)
        else:
            rules = new.get("rules") or []
            self._roles[key] = [(rule, compile_rule(rule)) for rule in rules]
        self._changed()

    def _cluster_binding_changed(self, old: Object | None, new: Object | None) -> None:
        self._replace("ClusterRoleBinding", old, new)

    def _binding_changed(self, old: Object | None, new: Object | None) -> None:
        self._replace("RoleBinding", old, new)

    def _replace(self, what: str, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        key = (what, metadata.get("namespace", ""), metadata["name"])
        scope = key[1]
        for subject, _ in self._bindings.pop(key, ()):
            holders = self._by_subject.get((subject, scope))
            if holders is not None:
                holders.pop(key, None)
                if not holders:
                    del self._by_subject[(subject, scope)]
        if new is not None:
            entries = list(_subjects(what, new))
            self._bindings[key] = entries
            for subject, binding in entries:
                holders = self._by_subject.setdefault((subject, scope), {})
                holders.setdefault(key, []).append(binding)
        self._changed()

    def _changed(self) -> None:
        self._gathered.clear()
        self._on_change()


def _subjects(what: str, binding: Object) -> Iterator[tuple[Subject, _Binding]]:
    metadata = binding["metadata"]
    namespace = metadata.get("namespace", "")
    role = binding.get("roleRef") or {}
    shown = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
    for subject in binding.get("subjects") or ():
        name = subject.get("name", "")
        described = f'{subject.get("kind", "")} "{name}"'
        key: Subject = (subject.get("kind", ""), name)
        if subject.get("kind") == "ServiceAccount":
            home = subject.get("namespace") or namespace
            described = f'ServiceAccount "{name}/{home}"'
            key = ("User", f"{_SERVICE_ACCOUNT_PREFIX}{home}:{name}")
        reason = (
            f'RBAC: allowed by {what} "{shown}" of {role.get("kind", "")} '
            f'"{role.get("name", "")}" to {described}'
        )
        yield key, _Binding(namespace, role.get("kind", ""), role.get("name", ""), reason)


def _error_reason(errors: tuple[str, ...]) -> str:
    if not errors:
        return ""
    unique = list(dict.fromkeys(errors))
    return f"RBAC: {unique[0]}" if len(unique) == 1 else f"RBAC: [{', '.join(unique)}]"
