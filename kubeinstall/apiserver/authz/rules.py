"""RBAC rules, compiled for fast matching, and the set arithmetic behind escalation checks.

A *rule* is the plain `PolicyRule` object; a `CompiledRule` is the same with sets. Semantics:
Kubernetes documentation, "Using RBAC Authorization", and its rule that `*` matches everything, a
resource `*/sub` matches that subresource of every resource, and a URL ending in `*` is a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import Attributes

_ALL = "*"


class CompiledRule(NamedTuple):
    """One rule as sets; `None` stands for "all"."""

    verbs: frozenset[str] | None
    groups: frozenset[str] | None
    resources: frozenset[str] | None
    names: frozenset[str]
    urls: frozenset[str]
    url_prefixes: tuple[str, ...]

    def covers_kind(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Whether the rule speaks of this kind of request, names aside."""
        if self.verbs is not None and verb not in self.verbs:
            return False
        if self.groups is not None and group not in self.groups:
            return False
        if self.resources is None:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def covers_url(self, verb: str, path: str) -> bool:
        """Whether the rule allows this non-resource request."""
        if self.verbs is not None and verb not in self.verbs:
            return False
        return path in self.urls or any(path.startswith(p) for p in self.url_prefixes)


def compile_rule(rule: Object) -> CompiledRule:
    """Compile one `PolicyRule`."""
    urls = rule.get("nonResourceURLs") or []
    return CompiledRule(
        _set(rule.get("verbs")),
        _set(rule.get("apiGroups")),
        _set(rule.get("resources")),
        frozenset(rule.get("resourceNames") or ()),
        frozenset(urls),
        tuple(url[:-1] for url in urls if url.endswith(_ALL)),
    )


def _set(values: Sequence[str] | None) -> frozenset[str] | None:
    found = frozenset(values or ())
    return None if _ALL in found else found


def allows(rules: Iterable[CompiledRule], attributes: Attributes) -> bool:
    """Whether any rule allows the request."""
    return any(rule_allows(rule, attributes) for rule in rules)


def rule_allows(rule: CompiledRule, a: Attributes) -> bool:
    """Whether this rule allows the request."""
    if not a.is_resource:
        return rule.covers_url(a.verb, a.path)
    if not rule.covers_kind(a.verb, a.group, a.resource, a.subresource):
        return False
    return not rule.names or a.name in rule.names


def uncovered(owned: Sequence[Object], wanted: Iterable[Object]) -> list[Object]:
    """The single permissions in `wanted` that no rule of `owned` includes, as one-item rules."""
    return [
        atom
        for rule in wanted
        for atom in _atoms(rule)
        if not any(_rule_covers(owner, atom) for owner in owned)
    ]


def _atoms(rule: Object) -> Iterable[Object]:
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in rule.get("verbs") or ():
                base = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames")
                if not names:
                    yield base
                for name in names or ():
                    yield {**base, "resourceNames": [name]}
    for url in rule.get("nonResourceURLs") or ():
        for verb in rule.get("verbs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _rule_covers(owner: Object, atom: Object) -> bool:
    if not _has(owner.get("verbs"), atom["verbs"][0]):
        return False
    if "nonResourceURLs" in atom:
        return _has_url(owner.get("nonResourceURLs") or (), atom["nonResourceURLs"][0])
    if not _has(owner.get("apiGroups"), atom["apiGroups"][0]):
        return False
    if not _has_resource(owner.get("resources") or (), atom["resources"][0]):
        return False
    owned_names = owner.get("resourceNames") or ()
    if not owned_names:
        return True
    wanted = atom.get("resourceNames") or ()
    return any(name in owned_names for name in wanted)


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return _ALL in (values or ()) or wanted in (values or ())


def _has_resource(values: Sequence[str], wanted: str) -> bool:
    if _has(values, wanted):
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in values


def _has_url(values: Sequence[str], wanted: str) -> bool:
    for value in values:
        if value in (_ALL, wanted):
            return True
        if value.endswith(_ALL) and wanted.rstrip(_ALL).startswith(value[:-1]):
            return True
    return False


def compact(atoms: Iterable[Object]) -> list[Object]:
    """Join one-item rules that differ only in their verb, as upstream does before it shows them."""
    joined: dict[tuple[str, str, str], Object] = {}
    rest: list[Object] = []
    for atom in atoms:
        if "resources" not in atom:
            rest.append(atom)
            continue
        names = atom.get("resourceNames")
        key = (atom["apiGroups"][0], atom["resources"][0], names[0] if names else "")
        known = joined.get(key)
        if known is None:
            joined[key] = {**atom, "verbs": list(atom["verbs"])}
        elif atom["verbs"][0] not in known["verbs"]:
            known["verbs"].append(atom["verbs"][0])
    return [*joined.values(), *rest]


def describe(rule: Object) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    parts = [
        f"{title}:{quote_list(rule[field])}"
        for title, field in (
            ("APIGroups", "apiGroups"),
            ("Resources", "resources"),
            ("NonResourceURLs", "nonResourceURLs"),
            ("ResourceNames", "resourceNames"),
            ("Verbs", "verbs"),
        )
        if rule.get(field)
    ]
    return "{" + ", ".join(parts) + "}"


def quote_list(values: Iterable[str]) -> str:
    """A list as Go's `%q` prints it: `["a" "b"]`."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
