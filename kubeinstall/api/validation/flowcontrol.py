"""flowcontrol.apiserver.k8s.io: FlowSchemas and PriorityLevelConfigurations."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_subdomain

_KINDS = ("Group", "ServiceAccount", "User")
_METHODS = ("ByNamespace", "ByUser")
_MOST_PRECEDENCE = 10000


def check_flow_schema(errors: Errors, item: Object) -> None:
    """A FlowSchema."""
    spec = item.get("spec") or {}
    precedence, level = (
        spec.get("matchingPrecedence", 0),
        spec.get("priorityLevelConfiguration") or {},
    )
    if precedence <= 0:
        errors.invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    if precedence > _MOST_PRECEDENCE:
        message = f"must not be greater than {_MOST_PRECEDENCE}"
        errors.invalid("spec.matchingPrecedence", precedence, message)
    if precedence == 1 and item["metadata"].get("name") != "exempt":
        message = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.invalid("spec.matchingPrecedence", precedence, message)
    method = spec.get("distinguisherMethod")
    if method is not None:
        errors.one_of("spec.distinguisherMethod", method.get("type", ""), _METHODS)
    name = level.get("name", "")
    if not name:
        errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        errors.each("spec.priorityLevelConfiguration.name", name, dns1123_subdomain(name))
    for index, rule in enumerate(spec.get("rules") or []):
        _check_rule(errors, rule, f"spec.rules[{index}]")


def _check_rule(errors: Errors, rule: Object, path: str) -> None:
    subjects = rule.get("subjects") or []
    if not subjects:
        errors.required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(subjects):
        kind = subject.get("kind", "")
        errors.one_of(f"{path}.subjects[{index}].kind", kind, _KINDS)
    resources, urls = rule.get("resourceRules") or [], rule.get("nonResourceRules") or []
    if not resources and not urls:
        message = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.required(path, message)
    for index, item in enumerate(resources):
        _check_resource_rule(errors, item, f"{path}.resourceRules[{index}]")
    for index, item in enumerate(urls):
        at = f"{path}.nonResourceRules[{index}]"
        if not item.get("verbs"):
            errors.required(f"{at}.verbs", "verbs must contain at least one value")
        if not item.get("nonResourceURLs"):
            errors.required(
                f"{at}.nonResourceURLs", "nonResourceURLs must contain at least one value"
            )


def _check_resource_rule(errors: Errors, item: Object, path: str) -> None:
    if not item.get("verbs"):
        errors.required(f"{path}.verbs", "verbs must contain at least one value")
    if not item.get("apiGroups"):
        errors.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not item.get("resources"):
        errors.required(f"{path}.resources", "resource rules must supply at least one resource")
    if not item.get("namespaces") and not item.get("clusterScope"):
        message = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.required(f"{path}.namespaces", message)


def check_priority_level(errors: Errors, item: Object) -> None:
    """A PriorityLevelConfiguration."""
    spec = item.get("spec") or {}
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    name = item["metadata"].get("name", "")
    if (name == "exempt") != (kind == "Exempt"):
        message = "type must be 'Exempt' if and only if `name` is 'exempt'"
        errors.invalid("spec.type", kind, message)
    if kind == "Exempt":
        if limited is not None:
            errors.forbidden("spec.limited", "must be nil if the type is not Limited")
    elif kind == "Limited":
        if exempt is not None:
            errors.forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            errors.required("spec.limited", "must not be empty when type is Limited")
        else:
            _check_limited(errors, limited, "spec.limited")
    else:
        errors.not_supported("spec.type", kind, ("Exempt", "Limited"))


def _check_limited(errors: Errors, limited: Object, path: str) -> None:
    shares = limited.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        errors.invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    lendable = limited.get("lendablePercent")
    if lendable is not None and not 0 <= lendable <= 100:
        errors.invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive")
    response = limited.get("limitResponse") or {}
    kind, queuing, at = response.get("type", ""), response.get("queuing"), f"{path}.limitResponse"
    if kind == "Reject":
        if queuing is not None:
            errors.forbidden(
                f"{at}.queuing", "must be nil if limited.limitResponse.type is not Limited"
            )
    elif kind == "Queue":
        if queuing is None:
            errors.required(
                f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited"
            )
        else:
            _check_queuing(errors, queuing, f"{at}.queuing")
    else:
        errors.not_supported(f"{at}.type", kind, ("Queue", "Reject"))


def _check_queuing(errors: Errors, queuing: Object, path: str) -> None:
    queues, hand = queuing.get("queues", 0), queuing.get("handSize", 0)
    if queuing.get("queueLengthLimit", 0) <= 0:
        errors.invalid(
            f"{path}.queueLengthLimit", queuing.get("queueLengthLimit", 0), "must be positive"
        )
    if queues <= 0:
        errors.invalid(f"{path}.queues", queues, "must be positive")
    elif queues > 10_000_000:
        errors.invalid(f"{path}.queues", queues, "must not be greater than 10000000")
    if hand <= 0:
        errors.invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        errors.invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
