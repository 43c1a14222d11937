"""Which requests concern a webhook or policy: rules, scope, selectors (upstream's `rules` and `matching`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kubeinstall.api.resources import Resource
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver import wire
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CONNECT, CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import NotFound

if TYPE_CHECKING:
    from kubeinstall.apiserver.catalog import Served

_CONFIGURATION = frozenset(
    {
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    }
)
_CONNECT_KINDS = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}


def is_configuration(group: str, plural: str) -> bool:
    """Whether a resource configures admission itself: nothing configured judges it."""
    return group == "admissionregistration.k8s.io" and plural in _CONFIGURATION


class Kind(NamedTuple):
    """Group, version and kind."""

    group: str
    version: str
    kind: str

    def to_object(self) -> Object:
        """`metav1.GroupVersionKind`."""
        return {"group": self.group, "version": self.version, "kind": self.kind}


def kind_of(resource: Resource, subresource: str, operation: str) -> Kind:
    """What the body of such a request is."""
    if operation == CONNECT:
        name = _CONNECT_KINDS.get((resource.name, subresource))
        if name is not None:
            return Kind(resource.group, resource.version, name)
    found = resource.subresource(subresource) if subresource else None
    if found is None:
        return Kind(resource.group, resource.version, resource.kind)
    if found.version:
        return Kind(found.group, found.version, found.kind)
    return Kind(resource.group, resource.version, found.kind)


def namespace_of(attributes: AdmissionAttributes) -> str:
    """The request's namespace; a namespace is in itself."""
    if _is_namespace(attributes):
        return attributes.name or ((attributes.object or {}).get("metadata") or {}).get("name", "")
    return attributes.namespace


def _is_namespace(attributes: AdmissionAttributes) -> bool:
    return attributes.resource.name == "namespaces" and not attributes.resource.group


@dataclass(slots=True)
class Seen:
    """A request as one webhook or policy sees it: in the version that its rules name."""

    served: Served
    kind: Kind
    object: Object | None
    old: Object | None

    @property
    def resource(self) -> Resource:
        """The resource in that version."""
        return self.served.resource


def see(attributes: AdmissionAttributes, served: Served) -> Seen:
    """The request's objects in the version of `served`."""
    seen_kind = kind_of(served.resource, attributes.subresource, attributes.operation)
    return Seen(
        served,
        seen_kind,
        _shown(attributes, served, seen_kind, attributes.object),
        _shown(attributes, served, seen_kind, attributes.old),
    )


def _shown(
    attributes: AdmissionAttributes, served: Served, seen: Kind, obj: Object | None
) -> Object | None:
    if obj is None:
        return None
    if attributes.subresource == "scale":
        from kubeinstall.apiserver.handlers.scale import scale_of

        return scale_of(served.storage, obj)
    if seen.kind == served.resource.kind and served.stored:
        return wire.from_storage(served, dict(obj))
    rest = {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}
    version = f"{seen.group}/{seen.version}" if seen.group else seen.version
    return {"kind": seen.kind, "apiVersion": version, **rest}


class Matcher:
    """Rules and selectors of one webhook, policy or binding.

    `rules` are RuleWithOperations objects; None matches every request.
    """

    def __init__(
        self,
        rules: Iterable[Object] | None,
        exclude: Iterable[Object] = (),
        *,
        namespace_selector: Object | None = None,
        object_selector: Object | None = None,
        equivalent: bool = True,
    ) -> None:
        self._rules = None if rules is None else tuple(rules)
        self._exclude = tuple(exclude)
        self._namespaces = LabelSelector.from_object(namespace_selector or {})
        self._objects = LabelSelector.from_object(object_selector or {})
        self._any_namespace = not namespace_selector
        self._any_object = not object_selector
        self._equivalent = equivalent

    @classmethod
    def of_webhook(cls, webhook: Object) -> Matcher:
        """Of an entry of a webhook configuration."""
        return cls(
            webhook.get("rules") or [],
            namespace_selector=webhook.get("namespaceSelector"),
            object_selector=webhook.get("objectSelector"),
            equivalent=webhook.get("matchPolicy") != "Exact",
        )

    @classmethod
    def of_resources(cls, match: Object | None) -> Matcher:
        """Of a policy's `matchConstraints` or a binding's `matchResources`."""
        match = match or {}
        return cls(
            match.get("resourceRules") or None,
            match.get("excludeResourceRules") or (),
            namespace_selector=match.get("namespaceSelector"),
            object_selector=match.get("objectSelector"),
            equivalent=match.get("matchPolicy") != "Exact",
        )

    def match(
        self, registry: Registry, namespaces: Namespaces, attributes: AdmissionAttributes
    ) -> Served | None:
        """The version in which the request is meant, or None. Raises `NotFound` of a namespace."""
        if not self._any_namespace and not self._matches_namespace(namespaces, attributes):
            return None
        if not self._any_object and not self._matches_object(attributes):
            return None
        versions = registry.versions(attributes.requested or attributes.resource)
        if self._exclude and self._find(self._exclude, versions, attributes) is not None:
            return None
        if self._rules is None:
            return versions[0]
        return self._find(self._rules, versions, attributes)

    def might_match(self, attributes: AdmissionAttributes) -> bool:
        """A quick no for most requests: no rule names the operation and a like resource."""
        if self._rules is None:
            return True
        return any(
            attributes.operation in r["operations"] or "*" in r["operations"] for r in self._rules
        )

    def _find(
        self, rules: Iterable[Object], versions: Iterable[Served], attributes: AdmissionAttributes
    ) -> Served | None:
        for served in versions:
            if any(rule_matches(rule, served.resource, attributes) for rule in rules):
                return served
            if not self._equivalent:
                return None
        return None

    def _matches_namespace(self, namespaces: Namespaces, attributes: AdmissionAttributes) -> bool:
        if not namespace_of(attributes):
            return True  # of no namespace: never exempt
        return self._namespaces.matches(namespaces.labels(attributes))

    def _matches_object(self, attributes: AdmissionAttributes) -> bool:
        for obj in (attributes.object, attributes.old):
            if obj is None or attributes.operation == CONNECT:
                continue
            labels = (obj.get("metadata") or {}).get("labels") or {}
            if self._objects.matches(labels):
                return True
        return False


def rule_matches(rule: Object, resource: Resource, attributes: AdmissionAttributes) -> bool:
    """Whether a RuleWithOperations means the request, seen as `resource`."""
    operations = rule.get("operations") or ()
    if attributes.operation not in operations and "*" not in operations:
        return False
    for field, value in (("apiGroups", resource.group), ("apiVersions", resource.version)):
        wanted = rule.get(field) or ()
        if value not in wanted and "*" not in wanted:
            return False
    if not any(_names(one, resource, attributes) for one in rule.get("resources") or ()):
        return False
    names = rule.get("resourceNames")
    if names and attributes.name not in names:
        return False
    scope = rule.get("scope") or "*"
    cluster = _is_namespace(attributes) or not attributes.namespace
    return scope == "*" or (scope == "Cluster") == cluster


def _names(pattern: str, resource: Resource, attributes: AdmissionAttributes) -> bool:
    name, _, subresource = pattern.partition("/")
    return name in ("*", resource.name) and subresource in ("*", attributes.subresource)


class Namespaces:
    """Namespaces as selectors and expressions look at them."""

    def __init__(self, registry: Registry) -> None:
        self._shared = Shared(registry, kind("namespaces"))

    def find(self, attributes: AdmissionAttributes) -> Object | None:
        """The request's namespace; None for what is in none. Raises `NotFound`."""
        name = namespace_of(attributes)
        if not name or _is_namespace(attributes):
            return None
        return self._get(name)

    def labels(self, attributes: AdmissionAttributes) -> dict[str, str]:
        """Labels of the namespace; of a namespace being written, those that it will have."""
        if (
            _is_namespace(attributes)
            and not attributes.subresource
            and attributes.operation in (CREATE, UPDATE)
            and attributes.object is not None
        ):
            return (attributes.object.get("metadata") or {}).get("labels") or {}
        return self._get(namespace_of(attributes))["metadata"].get("labels") or {}

    def _get(self, name: str) -> Object:
        found = self._shared.get(name)
        if found is None:
            raise NotFound.for_object("", "namespaces", name)
        return found
