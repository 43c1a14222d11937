"""A ValidatingAdmissionPolicy, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.cel import Budget, CompileError, EvalError, Lazy, Program, compile_expression
from kubeinstall.api.cel.admission import policy_variables
from kubeinstall.api.cel.types import Type
from kubeinstall.api.types import Object
from kubeinstall.api.validation.expressions import with_variables
from kubeinstall.apiserver.admission.webhooks.matching import Matcher

_MESSAGE_LIMIT = 5 * 1024


@dataclass(slots=True)
class Finding:
    """A validation that did not hold, or failed."""

    message: str
    reason: str = "Invalid"
    failed: bool = False


@dataclass(slots=True)
class _Validation:
    source: Object
    program: Program
    message: Program | None


@dataclass(slots=True)
class Policy:
    """What a policy says. `problem` is why it cannot be used, "" when it can."""

    name: str
    fatal: bool
    matcher: Matcher
    param_kind: Object | None
    problem: str = ""
    conditions: list[tuple[str, Program]] = field(default_factory=list)
    variables: list[tuple[str, Program]] = field(default_factory=list)
    validations: list[_Validation] = field(default_factory=list)

    def applies(self, values: Object, budget: Budget) -> bool:
        """Whether all matchConditions hold. Raises `EvalError` when that cannot be told."""
        failed: EvalError | None = None
        for _, program in self.conditions:
            try:
                if program.evaluate(values, budget) is not True:
                    return False
            except EvalError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return True

    def findings(self, values: Object, budget: Budget) -> list[Finding]:
        """What does not hold, in order."""
        values = {**values, "variables": self.lazy(values)}
        found = []
        for validation in self.validations:
            finding = _judge(validation, values, budget)
            if finding is not None:
                found.append(finding)
        return found

    def lazy(self, values: Object) -> dict[str, Any]:
        """The value of `variables`: each is computed when it is first used."""
        variables = _Variables()
        scope = {**values, "variables": variables}

        def computed(program: Program) -> Lazy:
            return Lazy(lambda _frame: program.evaluate(scope))

        for name, program in self.variables:
            variables.lazy[name] = computed(program)
        return variables


class _Variables(dict[str, Any]):
    """`variables`: each is computed when first used."""

    def __init__(self) -> None:
        super().__init__()
        self.lazy: dict[str, Lazy] = {}

    def __missing__(self, name: str) -> Any:
        value = self[name] = self.lazy[name].get([])
        return value


def _judge(validation: _Validation, values: Object, budget: Budget) -> Finding | None:
    source = validation.source
    try:
        if validation.program.evaluate(values, budget) is True:
            return None
    except EvalError as error:
        text = f"expression '{source['expression']}' resulted in error: {error}"
        return Finding(text, failed=True)
    message = ""
    if validation.message is not None:
        try:
            found = validation.message.evaluate(values, budget)
        except EvalError:
            found = None
        if isinstance(found, str) and "\n" not in found and len(found) <= _MESSAGE_LIMIT:
            message = found.strip()
    message = message or (source.get("message") or "").strip()
    return Finding(
        message or f"failed expression: {source['expression'].strip()}",
        source.get("reason") or "Invalid",
    )


def compile_policy(obj: Object) -> Policy:
    """Of the API object; never raises: what does not compile makes it unusable."""
    spec = obj.get("spec") or {}
    policy = Policy(
        obj["metadata"]["name"],
        spec.get("failurePolicy") != "Ignore",
        Matcher.of_resources(spec.get("matchConstraints")),
        spec.get("paramKind"),
    )
    try:
        _compile(policy, spec)
    except CompileError as error:
        policy.problem = f"compilation error: {error}"
    return policy


def compile_common(policy: Policy, spec: Object, known: Mapping[str, Type]) -> Mapping[str, Type]:
    """Compile conditions and variables; all that the other expressions know. Raises `CompileError`."""
    for one in spec.get("matchConditions") or []:
        policy.conditions.append(
            (one.get("name", ""), compile_expression(one["expression"], known))
        )
    fields: dict[str, Type] = {}
    for one in spec.get("variables") or []:
        program = compile_expression(one["expression"], with_variables(known, fields))
        policy.variables.append((one["name"], program))
        fields[one["name"]] = program.type
    return with_variables(known, fields)


def _compile(policy: Policy, spec: Object) -> None:
    known = policy_variables(params=policy.param_kind is not None)
    everything = compile_common(policy, spec, known)
    for one in spec.get("validations") or []:
        text = one.get("messageExpression")
        message = compile_expression(text, everything) if text else None
        program = compile_expression(one["expression"], everything)
        policy.validations.append(_Validation(one, program, message))
