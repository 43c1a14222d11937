"""admissionregistration.k8s.io/v1: MutatingAdmissionPolicies and their bindings."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation import expressions
from kubeinstall.api.validation.admission import check_binding_spec, check_policy_spec
from kubeinstall.api.validation.errors import Errors

_FIELDS = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def check_mutating_policy(errors: Errors, item: Object) -> None:
    """A MutatingAdmissionPolicy."""
    spec = item.get("spec") or {}
    known = check_policy_spec(errors, spec)
    _check_operations(errors, spec)
    mutations = spec.get("mutations") or []
    if not mutations:
        errors.required("spec.mutations", "mutations must contain at least one item")
    for index, mutation in enumerate(mutations):
        _check_mutation(errors, mutation, f"spec.mutations[{index}]")
    expressions.check_mutation_expressions(errors, spec, known)
    policy = spec.get("reinvocationPolicy")
    if not policy:
        errors.required("spec.reinvocationPolicy")
    else:
        errors.one_of("spec.reinvocationPolicy", policy, ("IfNeeded", "Never"))


def _check_operations(errors: Errors, spec: Object) -> None:
    rules = (spec.get("matchConstraints") or {}).get("resourceRules") or []
    for index, rule in enumerate(rules):
        for number, operation in enumerate(rule.get("operations") or []):
            if operation == "DELETE":
                path = f"spec.matchConstraints.resourceRules[{index}].operations[{number}]"
                errors.not_supported(path, operation, ("*", "CONNECT", "CREATE", "UPDATE"))


def _check_mutation(errors: Errors, mutation: Object, path: str) -> None:
    kind = mutation.get("patchType") or ""
    if not kind:
        errors.required(f"{path}.patchType")
        return
    if kind not in _FIELDS:
        errors.not_supported(f"{path}.patchType", kind, tuple(_FIELDS))
        return
    for other, field in _FIELDS.items():
        given = mutation.get(field)
        if other != kind and given is not None:
            text = f"must not be specified when patchType is {kind}"
            errors.forbidden(f"{path}.{field}", text)
        elif other == kind and given is None:
            errors.required(f"{path}.{field}", f"must be specified when patchType is {kind}")
        elif other == kind and not (given or {}).get("expression", "").strip():
            errors.required(f"{path}.{field}.expression", "expression is not specified")


def check_mutating_binding(errors: Errors, item: Object) -> None:
    """A MutatingAdmissionPolicyBinding."""
    check_binding_spec(errors, item.get("spec") or {})
