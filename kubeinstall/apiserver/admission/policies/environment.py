"""Values of the variables that admission's expressions have (`api.cel.admission` has their types)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubeinstall.api.cel import Lazy, Program, compile_expression
from kubeinstall.api.cel.admission import CONDITIONS
from kubeinstall.api.cel.library.authorizer import (
    AuthorizerValue,
    Question,
    ResourceCheck,
)
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.webhooks.matching import Namespaces, Seen, namespace_of
from kubeinstall.apiserver.admission.webhooks.review import question
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.request import AdmissionAttributes, Attributes, User

_COMPILED = 4096  # programs of matchConditions kept


@lru_cache(maxsize=_COMPILED)
def condition(source: str) -> Program:
    """A compiled matchCondition. Raises `CompileError`."""
    return compile_expression(source, CONDITIONS)


def values_of(
    attributes: AdmissionAttributes, seen: Seen, authorizer: Authorizer, namespaces: Namespaces
) -> Object:
    """Values of all variables but `params` and `variables`."""

    def ask(asked: Question) -> tuple[bool, str]:
        return _ask(authorizer, attributes.user, asked)

    def request(_frame: Any) -> Object:
        found = question(attributes, seen)
        for name in ("uid", "object", "oldObject"):
            found.pop(name, None)
        return found

    by = AuthorizerValue(ask)
    resource = attributes.requested or attributes.resource
    check = Question(
        "",
        group=resource.group,
        resource=resource.name,
        subresource=attributes.subresource,
        namespace=namespace_of(attributes),
        name=attributes.name,
    )
    return {
        "object": seen.object,
        "oldObject": seen.old,
        "request": Lazy(request),
        "namespaceObject": Lazy(lambda _frame: namespaces.find(attributes)),
        "authorizer": by,
        "authorizer.requestResource": ResourceCheck(by, check),
    }


def _ask(authorizer: Authorizer, user: User, asked: Question) -> tuple[bool, str]:
    if asked.service_account is not None:
        namespace, name = asked.service_account
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        user = User(
            f"system:serviceaccount:{namespace}:{name}", groups=(*groups, "system:authenticated")
        )
    decision = authorizer.authorize(
        Attributes(
            user,
            asked.verb,
            asked.group,
            "*" if asked.resource else "",
            asked.resource,
            asked.subresource,
            asked.namespace,
            asked.name,
            asked.path,
            not asked.path,
            asked.field_selector,
            asked.label_selector,
        )
    )
    return decision.allowed, decision.reason
