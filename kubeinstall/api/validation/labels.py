"""Label sets, annotations and LabelSelector objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import label_value, qualified_name

ANNOTATIONS_BYTES = 256 * 1024
SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check_label_name(errors: Errors, name: str, path: str) -> None:
    """A label's key."""
    errors.each(path, name, qualified_name(name))


def check_labels(errors: Errors, labels: Mapping[str, str] | None, path: str) -> None:
    """Keys and values of labels; both are reported on the map itself."""
    for key, value in (labels or {}).items():
        check_label_name(errors, key, path)
        errors.each(path, value, label_value(value))


def check_annotations(errors: Errors, annotations: Mapping[str, str] | None, path: str) -> None:
    """Keys (their case does not matter) and total size."""
    size = 0
    for key, value in (annotations or {}).items():
        errors.each(path, key, qualified_name(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_BYTES:
        errors.too_long(path, ANNOTATIONS_BYTES)


def check_label_selector(errors: Errors, selector: Mapping[str, Any] | None, path: str) -> None:
    """A `metav1.LabelSelector`; None passes."""
    if selector is None:
        return
    check_labels(errors, selector.get("matchLabels"), f"{path}.matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or []):
        _check_requirement(errors, item, f"{path}.matchExpressions[{index}]")


def _check_requirement(errors: Errors, item: Mapping[str, Any], path: str) -> None:
    values = item.get("values") or []
    operator = item.get("operator", "")
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
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    check_label_name(errors, item.get("key", ""), f"{path}.key")
    for index, value in enumerate(values):
        errors.each(f"{path}.values[{index}]", value, label_value(value))


def selector_is_empty(selector: Mapping[str, Any] | None) -> bool:
    """Whether a LabelSelector has no requirement (and so matches everything)."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
