"""Where a pod may run: affinity, tolerations, topology spread, gates."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    dns1123_label,
    dns1123_subdomain,
    label_value,
    qualified_name,
)
from kubeinstall.api.validation.labels import check_label_name, check_label_selector

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check_affinity(errors: Errors, affinity: Object | None, path: str) -> None:
    """Node affinity, pod affinity and anti-affinity."""
    if affinity is None:
        return
    node = affinity.get("nodeAffinity")
    if node is not None:
        _check_node_affinity(errors, node, f"{path}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        value = affinity.get(field)
        if value is not None:
            _check_pod_affinity(errors, value, f"{path}.{field}")


def _check_node_affinity(errors: Errors, affinity: Object, path: str) -> None:
    required = affinity.get(_REQUIRED)
    if required is not None:
        check_node_selector(errors, required, f"{path}.{_REQUIRED}")
    for index, item in enumerate(affinity.get(_PREFERRED) or []):
        at = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(errors, item.get("weight", 0), f"{at}.weight")
        check_node_selector_term(errors, item.get("preference") or {}, f"{at}.preference")


def _check_weight(errors: Errors, weight: int, path: str) -> None:
    if not 1 <= weight <= 100:
        errors.invalid(path, weight, "must be in the range 1-100")


def check_node_selector(errors: Errors, selector: Object, path: str) -> None:
    """A NodeSelector: alternatives of requirements."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        errors.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        check_node_selector_term(errors, term, f"{path}.nodeSelectorTerms[{index}]")


def check_node_selector_term(errors: Errors, term: Object, path: str) -> None:
    """Requirements on labels and fields of a node."""
    for index, item in enumerate(term.get("matchExpressions") or []):
        _check_node_requirement(errors, item, f"{path}.matchExpressions[{index}]")
    for index, item in enumerate(term.get("matchFields") or []):
        _check_node_field(errors, item, f"{path}.matchFields[{index}]")


def _check_node_requirement(errors: Errors, item: Object, path: str) -> None:
    operator, values = item.get("operator", ""), item.get("values") or []
    if operator in {"In", "NotIn"}:
        if not values:
            errors.required(
                f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            errors.forbidden(
                f"{path}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
    elif operator in {"Gt", "Lt"}:
        if len(values) != 1:
            message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.required(f"{path}.values", message)
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    check_label_name(errors, item.get("key", ""), f"{path}.key")
    for index, value in enumerate(values):
        errors.each(f"{path}.values[{index}]", value, label_value(value))


def _check_node_field(errors: Errors, item: Object, path: str) -> None:
    operator, values, key = item.get("operator", ""), item.get("values") or [], item.get("key", "")
    if operator in {"In", "NotIn"}:
        if len(values) != 1:
            message = (
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
            errors.required(f"{path}.values", message)
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    if key != "metadata.name":
        errors.invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        errors.each(f"{path}.values[{index}]", value, dns1123_subdomain(value))


def _check_pod_affinity(errors: Errors, affinity: Object, path: str) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or []):
        _check_pod_term(errors, term, f"{path}.{_REQUIRED}[{index}]")
    for index, item in enumerate(affinity.get(_PREFERRED) or []):
        at = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(errors, item.get("weight", 0), f"{at}.weight")
        _check_pod_term(errors, item.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")


def _check_pod_term(errors: Errors, term: Object, path: str) -> None:
    check_label_selector(errors, term.get("labelSelector"), f"{path}.labelSelector")
    check_label_selector(errors, term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or []:
        errors.each(f"{path}.namespace", name, dns1123_label(name))
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        for index, key in enumerate(term.get(field) or []):
            check_label_name(errors, key, f"{path}.{field}[{index}]")
            if term.get("labelSelector") is None:
                errors.forbidden(
                    f"{path}.{field}", "must not be specified when labelSelector is not set"
                )
    key = term.get("topologyKey", "")
    if not key:
        errors.required(f"{path}.topologyKey", "can not be empty")
    else:
        check_label_name(errors, key, f"{path}.topologyKey")


def check_tolerations(errors: Errors, tolerations: list[Object], path: str) -> None:
    """`spec.tolerations`."""
    for index, item in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator, value = item.get("key", ""), item.get("operator", ""), item.get("value", "")
        effect = item.get("effect", "")
        if key:
            check_label_name(errors, key, f"{at}.key")
        elif operator != "Exists":
            message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.invalid(f"{at}.operator", operator, message)
        if item.get("tolerationSeconds") is not None and effect != "NoExecute":
            message = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.invalid(f"{at}.effect", effect, message)
        if operator in {"", "Equal"}:
            problems = label_value(value)
            if problems:
                errors.invalid(f"{at}.operator", value, ";".join(problems))
        elif operator == "Exists":
            if value:
                errors.invalid(
                    f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"
                )
        else:
            errors.not_supported(f"{at}.operator", operator, ("Equal", "Exists"))
        if effect and effect not in EFFECTS:
            errors.not_supported(f"{at}.effect", effect, EFFECTS)


def check_topology_spread(errors: Errors, constraints: list[Object], path: str) -> None:
    """`spec.topologySpreadConstraints`."""
    seen: set[tuple[Any, Any]] = set()
    for index, item in enumerate(constraints):
        at = f"{path}[{index}]"
        if item.get("maxSkew", 0) <= 0:
            errors.invalid(f"{at}.maxSkew", item.get("maxSkew", 0), "must be greater than zero")
        key = item.get("topologyKey", "")
        if not key:
            errors.required(f"{at}.topologyKey", "can not be empty")
        else:
            check_label_name(errors, key, f"{at}.topologyKey")
        when = item.get("whenUnsatisfiable", "")
        errors.one_of(f"{at}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, when) in seen:
            errors.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}")
        seen.add((key, when))
        _check_min_domains(errors, item, at)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if item.get(field) is not None:
                errors.one_of(f"{at}.{field}", item[field], ("Honor", "Ignore"))
        _check_spread_keys(errors, item, at)
        check_label_selector(errors, item.get("labelSelector"), f"{at}.labelSelector")


def _check_min_domains(errors: Errors, item: Object, path: str) -> None:
    least = item.get("minDomains")
    if least is None:
        return
    if least <= 0:
        errors.invalid(f"{path}.minDomains", least, "must be greater than zero")
    when = item.get("whenUnsatisfiable", "")
    if when != "DoNotSchedule":
        message = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        errors.invalid(f"{path}.minDomains", least, message)


def _check_spread_keys(errors: Errors, item: Object, path: str) -> None:
    keys = item.get("matchLabelKeys") or []
    if not keys:
        return
    selector = item.get("labelSelector")
    if selector is None:
        errors.forbidden(
            f"{path}.matchLabelKeys", "must not be specified when labelSelector is not set"
        )
        return
    taken = {*(selector.get("matchLabels") or {})}
    taken |= {expression.get("key") for expression in selector.get("matchExpressions") or []}
    for index, key in enumerate(keys):
        check_label_name(errors, key, f"{path}.matchLabelKeys[{index}]")
        if key in taken:
            message = "exists in both matchLabelKeys and labelSelector"
            errors.invalid(f"{path}.matchLabelKeys[{index}]", key, message)


def check_gates(errors: Errors, spec: Object, path: str) -> None:
    """Readiness gates and scheduling gates."""
    for index, gate in enumerate(spec.get("readinessGates") or []):
        kind = gate.get("conditionType", "")
        errors.each(f"{path}.readinessGates[{index}].conditionType", kind, qualified_name(kind))
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or []):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name", "")
        errors.each(at, name, qualified_name(name))
        if name in seen:
            errors.duplicate(at, name)
        seen.add(name)
