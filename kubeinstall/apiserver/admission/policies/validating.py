"""The plug-in ValidatingAdmissionPolicy: every binding of every policy that means a request."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinstall.api.cel import Budget, EvalError
from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, display_name
from kubeinstall.apiserver.admission.policies.environment import values_of
from kubeinstall.apiserver.admission.policies.policy import Finding, Policy, compile_policy
from kubeinstall.apiserver.admission.webhooks.matching import (
    Matcher,
    Namespaces,
    is_configuration,
    namespace_of,
    see,
)
from kubeinstall.apiserver.authz import forbidden_object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import AdmissionAttributes
from kubeinstall.errors import NotFound, StatusError

_GROUP = "admissionregistration.k8s.io"
_REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
_CODES = {"Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413, "Unauthorized": 401}


class Misconfigured(Exception):
    """A policy cannot be applied; the text says why."""


@dataclass(slots=True)
class _Binding:
    name: str
    policy: str
    matcher: Matcher
    reference: Object | None
    actions: tuple[str, ...]


def _binding(obj: Object) -> _Binding:
    spec = obj.get("spec") or {}
    return _Binding(
        obj["metadata"]["name"],
        spec.get("policyName") or "",
        Matcher.of_resources(spec.get("matchResources")),
        spec.get("paramRef"),
        tuple(spec.get("validationActions") or ()),
    )


class ValidatingAdmissionPolicy(Plugin):
    """Judges requests by the policies that are bound."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._namespaces = Namespaces(registry)
        self._policies: dict[str, Policy] = {}
        self._bindings: dict[str, _Binding] = {}
        registry.observe(kind("validatingadmissionpolicies", _GROUP), self._policy_changed)
        registry.observe(kind("validatingadmissionpolicybindings", _GROUP), self._binding_changed)

    def _policy_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._policies.pop(name, None)
        elif old is None or name not in self._policies or old.get("spec") != new.get("spec"):
            self._policies[name] = compile_policy(new)

    def _binding_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._bindings.pop(name, None)
        else:
            self._bindings[name] = _binding(new)

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything but the configuration of admission and access reviews."""
        return not is_configuration(group, plural) and group not in _REVIEWS

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raise what the first binding that denies says."""
        if not self._bindings or not self._policies:
            return
        denials: list[StatusError] = []
        for policy in list(self._policies.values()):
            bindings = [one for one in self._bindings.values() if one.policy == policy.name]
            for binding in bindings:
                self._judge(policy, binding, attributes, denials)
        if denials:
            raise denials[0]

    def _judge(
        self,
        policy: Policy,
        binding: _Binding,
        attributes: AdmissionAttributes,
        denials: list[StatusError],
    ) -> None:
        try:
            found = self._findings(policy, binding, attributes)
        except (Misconfigured, EvalError, NotFound) as error:
            if policy.fatal:
                text = (
                    f"policy '{policy.name}' with binding '{binding.name}' denied request:"
                    f" failed to configure binding: {error}"
                )
                if isinstance(error, EvalError):
                    text = _denial(policy, binding, f"{error}")
                denials.append(_refusal(attributes, text, "Invalid"))
            return
        for finding in found:
            if finding.failed and not policy.fatal:
                continue
            if "Deny" in binding.actions or finding.failed:
                text = _denial(policy, binding, finding.message)
                denials.append(_refusal(attributes, text, finding.reason))
            elif "Warn" in binding.actions:
                attributes.warnings.append(
                    f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding"
                    f" '{binding.name}': {finding.message}"
                )

    def _findings(
        self, policy: Policy, binding: _Binding, attributes: AdmissionAttributes
    ) -> list[Finding]:
        served = policy.matcher.match(self._registry, self._namespaces, attributes)
        if served is None:
            return []
        if binding.matcher.match(self._registry, self._namespaces, attributes) is None:
            return []
        if policy.problem:
            raise Misconfigured(policy.problem)
        seen = see(attributes, served)
        values = values_of(attributes, seen, self._authorizer, self._namespaces)
        found: list[Finding] = []
        for params in self._params(policy, binding, attributes):
            budget = Budget()
            values["params"] = params
            if policy.applies(values, budget):
                found += policy.findings(values, budget)
        return found

    def _params(
        self, policy: Policy, binding: _Binding, attributes: AdmissionAttributes
    ) -> list[Object | None]:
        """The parameter objects to judge with; [None] for a policy without. Raises `Misconfigured`."""
        if policy.param_kind is None or binding.reference is None:
            return [None]
        group, _, version = policy.param_kind.get("apiVersion", "").rpartition("/")
        resource = self._registry.find_kind(group, version, policy.param_kind.get("kind", ""))
        if resource is None:
            wanted = f"{group}/{version}, Kind={policy.param_kind.get('kind', '')}"
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
                found = [self._registry.get(resource, reference["name"], namespace)]
            except NotFound:
                found = []
        else:
            selector = str(LabelSelector.from_object(reference.get("selector") or {}))
            found = list(self._registry.list(resource, namespace, selector))
        if not found and reference.get("parameterNotFoundAction") != "Allow":
            raise Misconfigured(
                "no params found for policy binding with `Deny` parameterNotFoundAction"
            )
        return found


def _denial(policy: Policy, binding: _Binding, message: str) -> str:
    return (
        f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}' denied request:"
        f" {message}"
    )


def _refusal(attributes: AdmissionAttributes, text: str, reason: str) -> StatusError:
    resource = attributes.requested or attributes.resource
    error = forbidden_object(resource.group, resource.name, display_name(attributes), text)
    details = {**(error.details or {}), "causes": [{"message": text}]}
    code = _CODES.get(reason, 422)
    return StatusError(error.message, details=details, code=code, reason=reason)
