"""Required node affinity and node selectors, by upstream's matching rules."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.controllers.common.owners import labels_of


def matches(pod_spec: Object, node: Object) -> bool:
    """The node satisfies `nodeSelector` and the required terms of `nodeAffinity`."""
    labels = labels_of(node)
    for name, value in (pod_spec.get("nodeSelector") or {}).items():
        if labels.get(name) != value:
            return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or selects(required, node)


def selects(selector: Object, node: Object) -> bool:
    """A NodeSelector: one of its terms holds. No terms, and empty terms, select nothing."""
    return any(_term(term, node) for term in selector.get("nodeSelectorTerms") or ())


def _term(term: Object, node: Object) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    names = {"metadata.name": node["metadata"]["name"]}
    labels = labels_of(node)
    return all(_expression(e, labels) for e in expressions) and all(
        _expression(f, names) for f in fields
    )


def _expression(expression: Object, values: dict[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    wanted = expression.get("values") or []
    present = key in values
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return not present
    if operator == "NotIn":
        return not present or values[key] not in wanted
    if not present:
        return False
    if operator == "In":
        return values[key] in wanted
    return _compare(operator, values[key], wanted)


def _compare(operator: str, value: str, wanted: list[str]) -> bool:
    try:
        left, right = int(value), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else operator == "Lt" and left < right
