"""Node selectors, taints and tolerations: what of a pod looks at a node's own attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeinstall.api.types import Object

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint (upstream's `Toleration.ToleratesTaint`)."""
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.get("effect"):
        return False
    if key and key != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    mine, theirs = str(toleration.get("value") or ""), str(taint.get("value") or "")
    if operator == "Equal":
        return mine == theirs
    if operator in ("Lt", "Gt"):
        return _compares(operator, theirs, mine)
    return False


def untolerated(
    taints: Iterable[Mapping[str, Any]],
    tolerations: Iterable[Mapping[str, Any]],
    effects: tuple[str, ...] = ("NoSchedule", "NoExecute"),
) -> Mapping[str, Any] | None:
    """The first taint of these effects that no toleration covers."""
    covering = list(tolerations)
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(t, taint) for t in covering):
            return taint
    return None


def matches_term(term: Object, labels: Mapping[str, str], name: str) -> bool:
    """One node selector term: all its expressions and fields; an empty term matches nothing."""
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(
        _requirement(e, labels.get(e["key"]), e["key"] in labels) for e in expressions
    ) and all(_requirement(f, name if f["key"] == "metadata.name" else "", True) for f in fields)


def matches_selector(selector: Object | None, labels: Mapping[str, str], name: str) -> bool:
    """A node selector: any of its terms."""
    return any(
        matches_term(term, labels, name) for term in (selector or {}).get("nodeSelectorTerms") or []
    )


def _requirement(requirement: Object, value: str | None, present: bool) -> bool:
    operator = requirement.get("operator")
    values = requirement.get("values") or []
    if operator == "In":
        return present and value in values
    if operator == "NotIn":
        return not present or value not in values
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return not present
    if operator in ("Gt", "Lt") and present and values:
        return _compares(operator, value or "", values[0])
    return False


def _compares(operator: str, value: str, bound: str) -> bool:
    try:
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right
