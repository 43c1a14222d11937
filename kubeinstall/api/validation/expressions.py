"""Expressions in policies and webhooks: they must compile, and to the right type."""

from __future__ import annotations

from collections.abc import Mapping

from kubeinstall.api.cel.types import DYN, Type, assignable
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors


def check(
    errors: Errors,
    source: str,
    path: str,
    variables: Mapping[str, Type],
    wanted: str = "",
    objects: Mapping[str, Type] | None = None,
) -> Type:
    """Append why an expression is not good; its type, dyn where it does not compile."""
    from kubeinstall.api.cel import CompileError, compile_expression

    try:
        found = compile_expression(source, variables, objects).type
    except CompileError as error:
        errors.invalid(path, source, f"compilation failed: {error}")
        return DYN
    if wanted and found.name not in (*wanted.split("|"), "dyn"):
        kinds = " or ".join(wanted.split("|"))
        errors.invalid(path, source, f"must evaluate to {kinds}")
    return found


def with_variables(known: Mapping[str, Type], fields: dict[str, Type]) -> dict[str, Type]:
    """Variables of a policy together with its own, as `variables.name`."""
    return {**known, "variables": Type("kubernetes.variables", (), dict(fields))}


def check_mutation_expressions(errors: Errors, spec: Object, known: Mapping[str, Type]) -> None:
    """Variables and mutations of a MutatingAdmissionPolicy."""
    from kubeinstall.api.cel.mutations import APPLY_TYPE, PATCH_TYPE, TYPES

    everything = _check_variables(errors, spec, known)
    for index, mutation in enumerate(spec.get("mutations") or []):
        for field, wanted in (("applyConfiguration", APPLY_TYPE), ("jsonPatch", PATCH_TYPE)):
            source = (mutation.get(field) or {}).get("expression") or ""
            if not source.strip():
                continue
            path = f"spec.mutations[{index}].{field}.expression"
            found = check(errors, source, path, everything, objects=TYPES)
            if not assignable(wanted, found, {}):
                errors.invalid(path, source, f"must evaluate to {wanted}")


def _check_variables(errors: Errors, spec: Object, known: Mapping[str, Type]) -> dict[str, Type]:
    """Check a policy's variables; all that its other expressions know."""
    fields: dict[str, Type] = {}
    for index, variable in enumerate(spec.get("variables") or []):
        name, source = variable.get("name", ""), variable.get("expression") or ""
        if name and source.strip():
            path = f"spec.variables[{index}].expression"
            fields[name] = check(errors, source, path, with_variables(known, fields))
    return with_variables(known, fields)


def check_policy_expressions(errors: Errors, spec: Object, known: Mapping[str, Type]) -> None:
    """Variables, validations, their messages and audit annotations of a policy."""
    everything = _check_variables(errors, spec, known)
    for index, validation in enumerate(spec.get("validations") or []):
        at = f"spec.validations[{index}]"
        if (validation.get("expression") or "").strip():
            check(errors, validation["expression"], f"{at}.expression", everything, "bool")
        if (validation.get("messageExpression") or "").strip():
            source = validation["messageExpression"]
            without = {k: v for k, v in everything.items() if not k.startswith("authorizer")}
            check(errors, source, f"{at}.messageExpression", without, "string")
    for index, annotation in enumerate(spec.get("auditAnnotations") or []):
        if (annotation.get("valueExpression") or "").strip():
            path = f"spec.auditAnnotations[{index}].valueExpression"
            check(errors, annotation["valueExpression"], path, everything, "string|null")
