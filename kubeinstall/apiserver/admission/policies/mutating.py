"""The plug-in MutatingAdmissionPolicy: every binding of every policy that means a request changes its object."""

from __future__ import annotations

import copy

from kubeinstall.api.apply.structural import MergeRefused, structural_merge
from kubeinstall.api.cel import Budget, EvalError
from kubeinstall.api.cel.mutations import to_json
from kubeinstall.api.patch import json_patch
from kubeinstall.api.patch.jsonpatch import PatchFailed
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin
from kubeinstall.apiserver.admission.policies.bindings import (
    Binding,
    Bound,
    Misconfigured,
    params_of,
    refusal,
)
from kubeinstall.apiserver.admission.policies.environment import values_of
from kubeinstall.apiserver.admission.policies.mutation import (
    MutatingPolicy,
    Mutation,
    compile_mutating_policy,
)
from kubeinstall.apiserver.admission.webhooks.matching import (
    Namespaces,
    Seen,
    is_configuration,
    see,
)
from kubeinstall.apiserver.admission.webhooks.settling import settled
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import DELETE, AdmissionAttributes
from kubeinstall.errors import NotFound, RequestTooLarge, StatusError

_REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


class _Failed(Exception):
    """A mutation could not be done; the text says why."""


class MutatingAdmissionPolicy(Plugin):
    """Changes objects by the policies that are bound, in the order of their names."""

    name = "MutatingAdmissionPolicy"

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._namespaces = Namespaces(registry)
        self._bound = Bound(
            registry,
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            compile_mutating_policy,
        )

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything but deletion, the configuration of admission and access reviews."""
        return operation != DELETE and not is_configuration(group, plural) and group not in _REVIEWS

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Change `attributes.object`. Raises what the first policy that cannot be applied says."""
        if not self._bound or attributes.object is None:
            return
        state, own = attributes.reinvocation, attributes.policies
        if state.again and attributes.object != own.output:
            own.changed()
        for policy, binding in self._bound.pairs:
            key = f"{policy.name}/{binding.name}"
            if state.again and key not in own.due:
                continue
            served = self._meant(policy, binding, attributes)
            if served is None:
                continue
            before = attributes.object
            try:
                self._apply(policy, binding, attributes, served)
            except (Misconfigured, EvalError, NotFound, _Failed) as error:
                if policy.fatal:
                    raise self._refusal(policy, binding, attributes, error) from error
                attributes.object = before
                continue
            if attributes.object != before:
                own.changed()
                state.wanted = True
            if policy.reinvoked:
                own.previous.add(key)
        if own.previous and not state.again:
            own.output = copy.deepcopy(attributes.object)

    def _meant(
        self, policy: MutatingPolicy, binding: Binding, attributes: AdmissionAttributes
    ) -> Served | None:
        served = policy.matcher.match(self._registry, self._namespaces, attributes)
        if served is None:
            return None
        if binding.matcher.match(self._registry, self._namespaces, attributes) is None:
            return None
        return served

    @staticmethod
    def _refusal(
        policy: MutatingPolicy, binding: Binding, attributes: AdmissionAttributes, error: Exception
    ) -> StatusError:
        why = f"failed to configure binding: {error}" if isinstance(error, Misconfigured) else error
        text = f"policy '{policy.name}' with binding '{binding.name}' denied request: {why}"
        return refusal(attributes, text, "Invalid")

    def _apply(
        self,
        policy: MutatingPolicy,
        binding: Binding,
        attributes: AdmissionAttributes,
        served: Served,
    ) -> None:
        if policy.problem:
            raise Misconfigured(policy.problem)
        for params in params_of(self._registry, policy.param_kind, binding, attributes):
            budget = Budget()
            seen = see(attributes, served)
            values = values_of(attributes, seen, self._authorizer, self._namespaces)
            values["params"] = params
            if not policy.applies(values, budget):
                continue
            for mutation in policy.mutations:
                # Each sees what the former one made, its variables anew too.
                seen = see(attributes, served)
                values = {**values, "object": seen.object, "oldObject": seen.old}
                scope = {**values, "variables": policy.lazy(values)}
                self._change(mutation, scope, budget, attributes, seen)

    def _change(
        self,
        mutation: Mutation,
        values: Object,
        budget: Budget,
        attributes: AdmissionAttributes,
        seen: Seen,
    ) -> None:
        try:
            made = to_json(mutation.program.evaluate(values, budget))
        except EvalError as error:
            raise _Failed(f"expression '{mutation.source}' resulted in error: {error}") from error
        try:
            if mutation.patches:
                changed = json_patch(seen.object, _operations(made))
            else:
                names = {key: (seen.object or {}).get(key) for key in ("apiVersion", "kind")}
                config = {**made, **names}
                changed = structural_merge(seen.served.resource, seen.object or {}, config)
            attributes.object = settled(attributes, seen, changed)
        except PatchFailed as error:
            raise _Failed(f"JSON Patch: {error.why}") from error
        except MergeRefused as error:
            raise _Failed(f"error applying patch: invalid ApplyConfiguration: {error}") from error
        except RequestTooLarge as error:
            raise _Failed(error.message) from error
        except StatusError as error:
            raise _Failed(error.message) from error


def _operations(made: list[Object]) -> list[Object]:
    """What `JSONPatch{…}` objects say; `value` counts also where it is null."""
    return [
        {key: one[key] for key in ("op", "path", "from", "value") if key in one} for one in made
    ]
