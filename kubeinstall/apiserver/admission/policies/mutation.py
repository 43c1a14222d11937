"""A MutatingAdmissionPolicy, compiled."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubeinstall.api.cel import CompileError, Program, compile_expression
from kubeinstall.api.cel.admission import policy_variables
from kubeinstall.api.cel.mutations import TYPES
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.policies.policy import Policy, compile_common
from kubeinstall.apiserver.admission.webhooks.matching import Matcher


@dataclass(slots=True)
class Mutation:
    """One change: by JSON patch (`patches`), else by a partial object."""

    source: str
    program: Program
    patches: bool


@dataclass(slots=True)
class MutatingPolicy(Policy):
    """What a policy says. `reinvoked`: it is applied again when something changed the object after it."""

    reinvoked: bool = False
    mutations: list[Mutation] = field(default_factory=list)


def compile_mutating_policy(obj: Object) -> MutatingPolicy:
    """Of the API object; never raises: what does not compile makes it unusable."""
    spec = obj.get("spec") or {}
    policy = MutatingPolicy(
        obj["metadata"]["name"],
        spec.get("failurePolicy") != "Ignore",
        Matcher.of_resources(spec.get("matchConstraints")),
        spec.get("paramKind"),
        reinvoked=spec.get("reinvocationPolicy") == "IfNeeded",
    )
    try:
        known = policy_variables(params=policy.param_kind is not None)
        everything = compile_common(policy, spec, known)
        for one in spec.get("mutations") or []:
            patches = one.get("patchType") == "JSONPatch"
            source = (one.get("jsonPatch" if patches else "applyConfiguration") or {})["expression"]
            program = compile_expression(source, everything, TYPES)
            policy.mutations.append(Mutation(source, program, patches))
    except CompileError as error:
        policy.problem = f"compilation error: {error}"
    return policy
