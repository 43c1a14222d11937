"""Authorization checks: `authorizer.group("apps").resource("deployments").check("create").allowed()`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from kubeinstall.api.cel.functions import define

_A = "kubernetes.authorization.Authorizer"
_P, _G, _R, _D = (
    f"kubernetes.authorization.{name}"
    for name in ("PathCheck", "GroupCheck", "ResourceCheck", "Decision")
)
AUTHORIZER_TYPE, RESOURCE_CHECK_TYPE = _A, _R


class Question(NamedTuple):
    """What is asked: a path, or a resource."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    service_account: tuple[str, str] | None = None
    field_selector: str = ""
    label_selector: str = ""


#: Answers: whether it is allowed, and why.
Ask = Callable[[Question], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class AuthorizerValue:
    """`authorizer`, of the request's user or of a service account."""

    cel_type: ClassVar[str] = _A
    ask: Ask
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PathCheck:
    """A check of a path."""

    cel_type: ClassVar[str] = _P
    by: AuthorizerValue
    path: str


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """A check within an API group."""

    cel_type: ClassVar[str] = _G
    by: AuthorizerValue
    group: str


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """A check of a resource."""

    cel_type: ClassVar[str] = _R
    by: AuthorizerValue
    question: Question


@dataclass(frozen=True, slots=True)
class DecisionValue:
    """A verdict."""

    cel_type: ClassVar[str] = _D
    is_allowed: bool
    why: str


@define(f"{_A}.path(string)->{_P}")
def _path(by: AuthorizerValue, path: str) -> PathCheck:
    return PathCheck(by, path)


@define(f"{_A}.group(string)->{_G}")
def _group(by: AuthorizerValue, group: str) -> GroupCheck:
    return GroupCheck(by, group)


@define(f"{_A}.serviceAccount(string,string)->{_A}")
def _service_account(by: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    return replace(by, service_account=(namespace, name))


@define(f"{_G}.resource(string)->{_R}")
def _resource(check: GroupCheck, resource: str) -> ResourceCheck:
    return ResourceCheck(check.by, Question("", group=check.group, resource=resource))


def _with(check: ResourceCheck, **values: str) -> ResourceCheck:
    return ResourceCheck(check.by, check.question._replace(**values))  # type: ignore[arg-type] # text fields only


@define(f"{_R}.subresource(string)->{_R}")
def _subresource(check: ResourceCheck, subresource: str) -> ResourceCheck:
    return _with(check, subresource=subresource)


@define(f"{_R}.namespace(string)->{_R}")
def _namespace(check: ResourceCheck, namespace: str) -> ResourceCheck:
    return _with(check, namespace=namespace)


@define(f"{_R}.name(string)->{_R}")
def _name(check: ResourceCheck, name: str) -> ResourceCheck:
    return _with(check, name=name)


@define(f"{_R}.fieldSelector(string)->{_R}")
def _field_selector(check: ResourceCheck, selector: str) -> ResourceCheck:
    return _with(check, field_selector=selector)


@define(f"{_R}.labelSelector(string)->{_R}")
def _label_selector(check: ResourceCheck, selector: str) -> ResourceCheck:
    return _with(check, label_selector=selector)


@define(f"{_P}.check(string)->{_D}")
def _check_path(check: PathCheck, verb: str) -> DecisionValue:
    by = check.by
    return DecisionValue(
        *by.ask(Question(verb, path=check.path, service_account=by.service_account))
    )


@define(f"{_R}.check(string)->{_D}")
def _check_resource(check: ResourceCheck, verb: str) -> DecisionValue:
    by = check.by
    question = check.question._replace(verb=verb, service_account=by.service_account)
    return DecisionValue(*by.ask(question))


@define(f"{_D}.allowed()->bool")
def _allowed(decision: DecisionValue) -> bool:
    return decision.is_allowed


@define(f"{_D}.reason()->string")
def _reason(decision: DecisionValue) -> str:
    return decision.why


@define(f"{_D}.errored()->bool")
def _errored(_decision: DecisionValue) -> bool:
    return False


@define(f"{_D}.error()->string")
def _error(_decision: DecisionValue) -> str:
    return ""
