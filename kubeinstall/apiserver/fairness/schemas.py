"""FlowSchemas, compiled: whether one means a request. Rules as upstream's `matchesFlowSchema`."""

from __future__ import annotations

from collections.abc import Callable

from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import RequestInfo, User

_Test = Callable[[User, RequestInfo], bool]


class Schema:
    """A FlowSchema. `sort_key` orders them: the first that matches decides."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        metadata = obj["metadata"]
        self.name: str = metadata["name"]
        self.uid: str = metadata.get("uid", "")
        self.level: str = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
        self.sort_key = (spec.get("matchingPrecedence", 0), self.name)
        self._distinguisher = (spec.get("distinguisherMethod") or {}).get("type", "")
        self._rules = [_rule(one) for one in spec.get("rules") or []]

    def matches(self, user: User, info: RequestInfo) -> bool:
        """Whether it means a request."""
        return any(rule(user, info) for rule in self._rules)

    def distinguisher(self, user: User, info: RequestInfo) -> str:
        """What tells the flows of this schema apart."""
        if self._distinguisher == "ByUser":
            return user.name
        return info.namespace if self._distinguisher == "ByNamespace" else ""


def _rule(rule: Object) -> _Test:
    subjects = [_subject(one) for one in rule.get("subjects") or []]
    resources = [_resource(one) for one in rule.get("resourceRules") or []]
    urls = [_url(one) for one in rule.get("nonResourceRules") or []]

    def matches(user: User, info: RequestInfo) -> bool:
        if not any(subject(user, info) for subject in subjects):
            return False
        return any(test(user, info) for test in (resources if info.is_resource else urls))

    return matches


def _subject(subject: Object) -> _Test:
    kind = subject.get("kind")
    if kind == "User":
        name = (subject.get("user") or {}).get("name", "")
        return lambda user, _info: name in ("*", user.name)
    if kind == "Group":
        group = (subject.get("group") or {}).get("name", "")
        return lambda user, _info: group == "*" or group in user.groups
    account = subject.get("serviceAccount") or {}
    prefix = f"system:serviceaccount:{account.get('namespace', '')}:"
    if account.get("name") == "*":
        return lambda user, _info: user.name.startswith(prefix)
    whole = prefix + account.get("name", "")
    return lambda user, _info: user.name == whole


def _resource(rule: Object) -> _Test:
    verbs, groups, resources, namespaces = (
        frozenset(rule.get(field) or ())
        for field in ("verbs", "apiGroups", "resources", "namespaces")
    )
    cluster = bool(rule.get("clusterScope"))

    def matches(_user: User, info: RequestInfo) -> bool:
        name = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        if not (_has(verbs, info.verb) and _has(groups, info.group) and _has(resources, name)):
            return False
        return _has(namespaces, info.namespace) if info.namespace else cluster

    return matches


def _has(wanted: frozenset[str], value: str) -> bool:
    return "*" in wanted or value in wanted


def _url(rule: Object) -> _Test:
    verbs = frozenset(rule.get("verbs") or ())
    urls = tuple(rule.get("nonResourceURLs") or ())

    def matches(_user: User, info: RequestInfo) -> bool:
        return _has(verbs, info.verb) and any(
            info.path.startswith(url[:-1]) if url.endswith("*") else info.path == url
            for url in urls
        )

    return matches
