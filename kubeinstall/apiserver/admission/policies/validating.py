"""The plug-in ValidatingAdmissionPolicy: every binding of every policy that means a request."""

from __future__ import annotations

from kubeinstall.api.cel import Budget, EvalError
from kubeinstall.apiserver.admission.plugin import Plugin
from kubeinstall.apiserver.admission.policies.bindings import (
    Binding,
    Bound,
    Misconfigured,
    params_of,
    refusal,
)
from kubeinstall.apiserver.admission.policies.environment import values_of
from kubeinstall.apiserver.admission.policies.policy import Finding, Policy, compile_policy
from kubeinstall.apiserver.admission.webhooks.matching import (
    Namespaces,
    is_configuration,
    see,
)
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import AdmissionAttributes
from kubeinstall.errors import NotFound, StatusError

_REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


class ValidatingAdmissionPolicy(Plugin):
    """Judges requests by the policies that are bound."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._namespaces = Namespaces(registry)
        self._bound = Bound(
            registry,
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            compile_policy,
        )

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything but the configuration of admission and access reviews."""
        return not is_configuration(group, plural) and group not in _REVIEWS

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raise what the first binding that denies says."""
        if not self._bound:
            return
        denials: list[StatusError] = []
        for policy, binding in self._bound.pairs:
            self._judge(policy, binding, attributes, denials)
        if denials:
            raise denials[0]

    def _judge(
        self,
        policy: Policy,
        binding: Binding,
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
                denials.append(refusal(attributes, text, "Invalid"))
            return
        for finding in found:
            if finding.failed and not policy.fatal:
                continue
            if "Deny" in binding.actions or finding.failed:
                text = _denial(policy, binding, finding.message)
                denials.append(refusal(attributes, text, finding.reason))
            elif "Warn" in binding.actions:
                attributes.warnings.append(
                    f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding"
                    f" '{binding.name}': {finding.message}"
                )

    def _findings(
        self, policy: Policy, binding: Binding, attributes: AdmissionAttributes
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
        for params in params_of(self._registry, policy.param_kind, binding, attributes):
            budget = Budget()
            values["params"] = params
            if policy.applies(values, budget):
                found += policy.findings(values, budget)
        return found


def _denial(policy: Policy, binding: Binding, message: str) -> str:
    return (
        f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}' denied request:"
        f" {message}"
    )
