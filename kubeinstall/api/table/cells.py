"""What several printers share: names of containers, selectors, lists cut short."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from kubeinstall.api.quantity import QuantityError, canonical
from kubeinstall.api.selectors import LabelSelector, SelectorError
from kubeinstall.api.table.durations import since
from kubeinstall.api.types import Object

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"
Cells = list[Any]


def name_of(obj: Object) -> str:
    """`metadata.name`."""
    found: str = (obj.get("metadata") or {}).get("name", "")
    return found


def age_of(obj: Object, now: float) -> str:
    """The object's age."""
    return since((obj.get("metadata") or {}).get("creationTimestamp"), now)


def deleting(obj: Object) -> bool:
    """Whether deletion has begun."""
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def at(obj: Any, *path: str) -> Any:
    """The value below `path`, None where anything on the way is missing."""
    for key in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def containers(template_spec: Any) -> Cells:
    """Names and images of a pod template's containers, each joined by commas."""
    found = (template_spec or {}).get("containers") or []
    return [
        ",".join(each.get("name", "") for each in found),
        ",".join(each.get("image", "") for each in found),
    ]


def labels_text(labels: dict[str, str] | None) -> str:
    """`a=b,c=d`, sorted, or `<none>`."""
    if not labels:
        return NONE
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def selector_text(selector: Any) -> str:
    """A `metav1.LabelSelector` as text, or `<none>`."""
    if selector is None:
        return NONE
    try:
        return str(LabelSelector.from_object(selector)) or NONE
    except SelectorError:
        return "<error>"


def some(values: Iterable[str], count: int, limit: int = 3) -> tuple[str, bool]:
    """The first `limit` values joined by commas, ` + N more...` if there are more."""
    text = ",".join(list(values)[:limit])
    if count > limit:
        return f"{text} + {count - limit} more...", True
    return text, False


def quantity_text(value: Any) -> str:
    """A quantity in canonical form; a missing one is "0"."""
    if value is None:
        return "0"
    try:
        return canonical(value)
    except QuantityError:
        return str(value)


def condition(obj: Object, condition_type: str) -> Object | None:
    """The `status.conditions` entry of that type."""
    for each in at(obj, "status", "conditions") or ():
        if each.get("type") == condition_type:
            found: Object = each
            return found
    return None


def is_true(obj: Object, condition_type: str) -> bool:
    """Whether that condition's status is True."""
    found = condition(obj, condition_type)
    return found is not None and found.get("status") == "True"


_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(modes: list[str] | None) -> str:
    """`RWO,ROX`: in a fixed order, each once."""
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))
