"""Bindings: which policy is applied to what, with which parameters, and how a request is refused by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import display_name
from kubeinstall.apiserver.admission.webhooks.matching import Matcher, namespace_of
from kubeinstall.apiserver.authz import forbidden_object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import AdmissionAttributes
from kubeinstall.errors import NotFound, StatusError

GROUP = "admissionregistration.k8s.io"
_CODES = {"Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413, "Unauthorized": 401}
P = TypeVar("P")


class Misconfigured(Exception):
    """A policy cannot be applied; the text says why."""


@dataclass(slots=True)
class Binding:
    """What a binding says."""

    name: str
    policy: str
    matcher: Matcher
    reference: Object | None
    actions: tuple[str, ...]


def _binding(obj: Object) -> Binding:
    spec = obj.get("spec") or {}
    return Binding(
        obj["metadata"]["name"],
        spec.get("policyName") or "",
        Matcher.of_resources(spec.get("matchResources")),
        spec.get("paramRef"),
        tuple(spec.get("validationActions") or ()),
    )


class Bound(Generic[P]):
    """All policies of one kind, compiled, with their bindings; kept current."""

    def __init__(
        self, registry: Registry, policies: str, bindings: str, compiled: Callable[[Object], P]
    ) -> None:
        self._compiled = compiled
        self._policies: dict[str, P] = {}
        self._bindings: dict[str, Binding] = {}
        self._pairs: list[tuple[P, Binding]] | None = None
        registry.observe(kind(policies, GROUP), self._policy_changed)
        registry.observe(kind(bindings, GROUP), self._binding_changed)

    def __bool__(self) -> bool:
        return bool(self._policies and self._bindings)

    @property
    def pairs(self) -> list[tuple[P, Binding]]:
        """Every policy with each of its bindings, by their names."""
        if self._pairs is None:
            self._pairs = [
                (policy, binding)
                for name, policy in sorted(self._policies.items())
                for _, binding in sorted(self._bindings.items())
                if binding.policy == name
            ]
        return self._pairs

    def _policy_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._policies.pop(name, None)
        elif old is None or name not in self._policies or old.get("spec") != new.get("spec"):
            self._policies[name] = self._compiled(new)
        self._pairs = None

    def _binding_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._bindings.pop(name, None)
        else:
            self._bindings[name] = _binding(new)
        self._pairs = None


def params_of(
    registry: Registry,
    param_kind: Object | None,
    binding: Binding,
    attributes: AdmissionAttributes,
) -> list[Object | None]:
    """The parameter objects to judge with; [None] for a policy without. Raises `Misconfigured`."""
    if param_kind is None or binding.reference is None:
        return [None]
    group, _, version = param_kind.get("apiVersion", "").rpartition("/")
    resource = registry.find_kind(group, version, param_kind.get("kind", ""))
    if resource is None:
        wanted = f"{group}/{version}, Kind={param_kind.get('kind', '')}"
        raise Misconfigured(f"failed to find resource referenced by paramKind: '{wanted}'")
    reference = binding.reference
    namespace = ""
    if resource.namespaced:
        namespace = reference.get("namespace") or namespace_of(attributes)
        if not namespace:
            raise Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    found: list[Object | None] = []
    if reference.get("name"):
        try:
            found = [registry.get(resource, reference["name"], namespace)]
        except NotFound:
            found = []
    else:
        selector = str(LabelSelector.from_object(reference.get("selector") or {}))
        found = list(registry.list(resource, namespace, selector))
    if not found and reference.get("parameterNotFoundAction") != "Allow":
        raise Misconfigured(
            "no params found for policy binding with `Deny` parameterNotFoundAction"
        )
    return found


def refusal(attributes: AdmissionAttributes, text: str, reason: str) -> StatusError:
    """The refusal of a request by a policy."""
    resource = attributes.requested or attributes.resource
    error = forbidden_object(resource.group, resource.name, display_name(attributes), text)
    details = {**(error.details or {}), "causes": [{"message": text}]}
    code = _CODES.get(reason, 422)
    return StatusError(error.message, details=details, code=code, reason=reason)
