"""Access reviews: may somebody do something? SubjectAccessReview, its Self and Local forms, and
SelfSubjectRulesReview."""

from __future__ import annotations

from typing import Any

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver.request import Attributes, SubresourceContext, User
from kubeinstall.errors import BadRequest, FieldError, Invalid

_GROUP = "authorization.k8s.io"


async def review_subject(context: SubresourceContext) -> Object:
    """SubjectAccessReview: about any user."""
    spec = context.body.get("spec") or {}
    errors = [*_subject_errors(spec), *_metadata_errors(context.body)]
    if errors:
        raise _invalid(errors)
    return _decide(context, _subject(spec))


async def review_self(context: SubresourceContext) -> Object:
    """SelfSubjectAccessReview: about the user who asks."""
    spec = context.body.get("spec") or {}
    errors = [*_attribute_errors(spec), *_metadata_errors(context.body)]
    if errors:
        raise _invalid(errors)
    return _decide(context, context.user)


async def review_local(context: SubresourceContext) -> Object:
    """LocalSubjectAccessReview: about any user, in one namespace."""
    spec = context.body.get("spec") or {}
    errors = [*_subject_errors(spec), *_metadata_errors(context.body, local=True)]
    if spec.get("nonResourceAttributes") is not None:
        errors.append(
            FieldError(
                "FieldValueInvalid",
                "spec.nonResourceAttributes",
                f"Invalid value: {_shown(spec['nonResourceAttributes'])}: "
                "disallowed on this kind of request",
            )
        )
    if errors:
        raise _invalid(errors)
    namespace = context.info.namespace
    if (spec.get("resourceAttributes") or {}).get("namespace", "") != namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    return _decide(context, _subject(spec))


async def review_rules(context: SubresourceContext) -> Object:
    """SelfSubjectRulesReview: everything that the user who asks may do in a namespace.

    The answer is a new object: nothing of the body comes back.
    """
    namespace = (context.body.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    rules, errors, incomplete = context.services.authorizer.rules_for(context.user, namespace)
    resource_rules = [
        _fields(rule, "verbs", "apiGroups", "resources", "resourceNames")
        for rule in rules
        if rule.get("resources")
    ]
    url_rules = [
        _fields(rule, "verbs", "nonResourceURLs") for rule in rules if rule.get("nonResourceURLs")
    ]
    status: Object = {
        "resourceRules": resource_rules,
        "nonResourceRules": url_rules,
        "incomplete": incomplete,
    }
    if errors:
        status["evaluationError"] = ", ".join(dict.fromkeys(errors))
    return {
        "apiVersion": context.resource.api_version,
        "kind": context.resource.kind,
        "metadata": {},
        "spec": {},
        "status": status,
    }


def _fields(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in names if rule.get(name)}


def _decide(context: SubresourceContext, user: User) -> Object:
    decision = context.services.authorizer.authorize(_attributes(context.body["spec"], user))
    status: Object = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return {**context.body, "status": status}


def _subject(spec: Object) -> User:
    extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _attributes(spec: Object, user: User) -> Attributes:
    asked = spec.get("resourceAttributes")
    if asked is None:
        asked = spec.get("nonResourceAttributes") or {}
        return Attributes(
            user, asked.get("verb", ""), path=asked.get("path", ""), is_resource=False
        )
    return Attributes(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        field_selector=_selector(asked.get("fieldSelector")),
        label_selector=_selector(asked.get("labelSelector")),
    )


def _selector(asked: Object | None) -> str:
    """A review's selector as text: what authorizers look at are single values to be equal to."""
    if not asked:
        return ""
    if asked.get("rawSelector"):
        return str(asked["rawSelector"])
    return ",".join(
        f"{requirement['key']}={requirement['values'][0]}"
        for requirement in asked.get("requirements") or ()
        if requirement.get("operator") == "In" and len(requirement.get("values") or ()) == 1
    )


def _subject_errors(spec: Object) -> list[FieldError]:
    errors = _attribute_errors(spec)
    if not spec.get("user") and not spec.get("groups"):
        errors.append(
            FieldError(
                "FieldValueInvalid",
                "spec.user",
                'Invalid value: "": at least one of user or group must be specified',
            )
        )
    return errors


def _attribute_errors(spec: Object) -> list[FieldError]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        return [
            FieldError(
                "FieldValueInvalid",
                "spec.nonResourceAttributes",
                f"Invalid value: {_shown(other)}: "
                "cannot be specified in combination with resourceAttributes",
            )
        ]
    if resource is None and other is None:
        return [
            FieldError(
                "FieldValueInvalid",
                "spec.resourceAttributes",
                "Invalid value: null: "
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        ]
    return []


def _metadata_errors(body: Object, *, local: bool = False) -> list[FieldError]:
    """A review has no metadata, except for its owners of fields, and a local one's namespace."""
    metadata = body.get("metadata") or {}
    ignored = {"managedFields", "namespace"} if local else {"managedFields"}
    left = {key: value for key, value in metadata.items() if key not in ignored and value}
    if not left:
        return []
    what = "must be empty except for namespace" if local else "must be empty"
    return [FieldError("FieldValueInvalid", "metadata", f"Invalid value: {_shown(left)}: {what}")]


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def _invalid(errors: list[FieldError]) -> Invalid:
    """Upstream names the group but no kind here."""
    error = Invalid(_GROUP, "", "", errors)
    if error.details is not None:
        error.details.pop("kind", None)
    return error
