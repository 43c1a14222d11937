"""ResourceQuotas and LimitRanges."""

from __future__ import annotations

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import qualified_name
from kubeinstall.api.validation.pod.resources import (
    HUGEPAGES,
    check_quantity,
    check_resource_name,
    is_extended,
    is_native,
)

_STANDARD = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_SCOPES = frozenset(
    {
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    }
)
_BEST_EFFORT_ONLY = frozenset({"pods"})
_POD_SCOPED = frozenset(
    {
        "pods",
        "cpu",
        "memory",
        "requests.cpu",
        "requests.memory",
        "limits.cpu",
        "limits.memory",
        "ephemeral-storage",
        "requests.ephemeral-storage",
        "limits.ephemeral-storage",
    }
)


def check_quota(errors: Errors, quota: Object) -> None:
    """A ResourceQuota."""
    spec = quota.get("spec") or {}
    _check_hard(errors, spec.get("hard") or {}, "spec.hard")
    _check_scopes(errors, spec)
    _check_selector(errors, spec)


def check_quota_status(errors: Errors, quota: Object) -> None:
    """The status subresource."""
    status = quota.get("status") or {}
    _check_hard(errors, status.get("hard") or {}, "status.hard")
    _check_hard(errors, status.get("used") or {}, "status.used")


def _check_hard(errors: Errors, values: dict[str, str], path: str) -> None:
    for name, text in values.items():
        at = f"{path}[{name}]"
        problems = qualified_name(name)
        errors.each(at, name, problems)
        if (
            "/" not in name
            and name not in _STANDARD
            and not name.startswith((HUGEPAGES, f"requests.{HUGEPAGES}"))
        ):
            errors.invalid(at, name, "must be a standard resource for quota")
        check_quantity(errors, name, text, at)


def _check_scopes(errors: Errors, spec: Object) -> None:
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            errors.invalid("spec.scopes", scopes, "unsupported scope")
            continue
        for name in spec.get("hard") or {}:
            if not _applies(scope, name):
                errors.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= set(scopes):
            errors.invalid("spec.scopes", scopes, "conflicting scopes")


def _applies(scope: str, name: str) -> bool:
    if scope == "BestEffort":
        return name in _BEST_EFFORT_ONLY
    if scope in {
        "Terminating",
        "NotTerminating",
        "NotBestEffort",
        "PriorityClass",
        "CrossNamespacePodAffinity",
    }:
        return name in _POD_SCOPED or name.startswith((HUGEPAGES, "count/pods")) or "/" in name
    return True


def _check_selector(errors: Errors, spec: Object) -> None:
    path = "spec.scopeSelector.matchExpressions"
    for item in (spec.get("scopeSelector") or {}).get("matchExpressions") or []:
        scope, operator = item.get("scopeName", ""), item.get("operator", "")
        at = path  # upstream leaves the index out
        if scope not in _SCOPES:
            errors.invalid(f"{at}.scopeName", scope, "unsupported scope")
        if operator in {"In", "NotIn"}:
            if not item.get("values"):
                message = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.required(f"{at}.values", message)
        elif operator in {"Exists", "DoesNotExist"}:
            if item.get("values"):
                message = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.invalid(f"{at}.values", item["values"], message)
        else:
            errors.invalid(f"{at}.operator", operator, "not a valid selector operator")


def check_quota_update(errors: Errors, new: Object, old: Object) -> None:
    """Scopes are fixed."""
    check_quota(errors, new)
    now, before = (x.get("spec") or {} for x in (new, old))
    if sorted(now.get("scopes") or []) != sorted(before.get("scopes") or []):
        errors.invalid("spec.scopes", now.get("scopes"), "field is immutable")


def check_limit_range(errors: Errors, item: Object) -> None:
    """A LimitRange."""
    seen: set[str] = set()
    for index, limit in enumerate((item.get("spec") or {}).get("limits") or []):
        at, kind = f"spec.limits[{index}]", limit.get("type", "")
        problems = qualified_name(kind)
        errors.each(f"{at}.type", kind, problems)
        if (
            not problems
            and "/" not in kind
            and kind not in {"Pod", "Container", "PersistentVolumeClaim"}
        ):
            errors.invalid(f"{at}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            errors.duplicate(f"{at}.type", kind)
        seen.add(kind)
        _check_limit(errors, limit, kind, at)


def _check_limit(errors: Errors, limit: Object, kind: str, path: str) -> None:
    for field in ("max", "min"):
        for name in limit.get(field) or {}:
            check_resource_name(errors, name, f"{path}.{field}[{name}]")
    if kind == "Pod":
        for field in ("default", "defaultRequest"):
            if limit.get(field):
                errors.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    else:
        for field in ("default", "defaultRequest"):
            for name in limit.get(field) or {}:
                check_resource_name(errors, name, f"{path}.{field}[{name}]")
    if kind == "PersistentVolumeClaim" and not any(
        "storage" in (limit.get(f) or {}) for f in ("min", "max")
    ):
        message = "either minimum or maximum storage value is required, but neither was provided"
        errors.required(f"{path}.limits", message)
    names = {
        n
        for f in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
        for n in limit.get(f) or {}
    }
    for name in sorted(names):
        _check_order(errors, limit, name, path)


def _check_order(errors: Errors, limit: Object, name: str, path: str) -> None:
    """min ≤ defaultRequest ≤ default ≤ max, and a ratio of at least 1."""
    values = {
        field: Quantity.parse(limit[field][name])
        for field in ("min", "defaultRequest", "default", "max", "maxLimitRequestRatio")
        if name in (limit.get(field) or {})
    }

    def over(low: str, high: str, at: str, low_word: str, high_word: str) -> None:
        if low in values and high in values and values[low] > values[high]:
            message = (
                f"{low_word} value {values[low]} is greater than {high_word} value {values[high]}"
            )
            errors.invalid(f"{path}.{at}[{name}]", str(values[low]), message)

    over("min", "max", "min", "min", "max")
    over("min", "defaultRequest", "defaultRequest", "min", "default request")
    over("defaultRequest", "max", "defaultRequest", "default request", "max")
    over("defaultRequest", "default", "defaultRequest", "default request", "default limit")
    over("min", "default", "default", "min", "default")
    over("default", "max", "default", "default", "max")
    ratio = values.get("maxLimitRequestRatio")
    if ratio is not None and ratio < Quantity.of(1):
        message = f"ratio {ratio} is less than 1"
        errors.invalid(f"{path}.maxLimitRequestRatio[{name}]", str(ratio), message)
    if (
        not is_native(name)
        and is_extended(name)
        and values.get("default") != values.get("defaultRequest")
    ):
        errors.invalid(
            f"{path}.defaultRequest[{name}]",
            str(values.get("defaultRequest", "")),
            "must be equal to default limit",
        )
