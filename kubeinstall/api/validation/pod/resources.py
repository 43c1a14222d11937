"""Resource names, requests and limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import qualified_name

HUGEPAGES = "hugepages-"
STANDARD_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
STANDARD = frozenset(
    {
        *STANDARD_CONTAINER,
        "pods",
        "storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "requests.storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_INTEGER = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)


def is_native(name: str) -> bool:
    """Without a domain, or of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource of a device plugin or an operator, e.g. `example.com/gpu`."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not qualified_name(f"requests.{name}")


def is_integer(name: str) -> bool:
    """Whether only whole numbers make sense."""
    return name in _INTEGER or is_extended(name)


def check_resource_name(errors: Errors, name: str, path: str) -> None:
    """Qualified; without a domain only a standard one."""
    problems = qualified_name(name)
    errors.each(path, name, problems)
    if not problems and "/" not in name and name not in STANDARD and not name.startswith(HUGEPAGES):
        errors.invalid(path, name, "must be a standard resource type or fully qualified")


def check_container_resource_name(errors: Errors, name: str, path: str) -> None:
    """A resource that a container can ask for."""
    before = len(errors)
    check_resource_name(errors, name, path)
    if len(errors) > before:
        return
    if "/" not in name:
        if name not in STANDARD_CONTAINER and not name.startswith(HUGEPAGES):
            errors.invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        errors.invalid(path, name, "doesn't follow extended resource name standard")


def check_quantity(errors: Errors, name: str, text: Any, path: str) -> None:
    """Not negative, whole where it must be."""
    quantity = Quantity.parse(text)
    if quantity < Quantity():
        errors.invalid(path, str(quantity), "must be greater than or equal to 0")
    if is_integer(name) and quantity.milli % 1000:
        errors.invalid(path, str(quantity), "must be an integer")


def check_requirements(
    errors: Errors, resources: Object, path: str, claims: Collection[str] = (), *, pod: bool = False
) -> None:
    """`resources` of a container, or of a pod."""
    limits: Mapping[str, Any] = resources.get("limits") or {}
    requests: Mapping[str, Any] = resources.get("requests") or {}
    for field, values in (("limits", limits), ("requests", requests)):
        for name, text in values.items():
            at = f"{path}.{field}[{name}]"
            check_container_resource_name(errors, name, f"{path}.{field}" if not pod else at)
            check_quantity(errors, name, text, at)
    for name, text in requests.items():
        if name in limits:
            _check_against_limit(errors, name, text, limits[name], f"{path}.requests")
        elif is_extended(name) or name.startswith(HUGEPAGES):
            errors.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
    names = {*limits, *requests}
    if any(n.startswith(HUGEPAGES) for n in names) and not names & {"cpu", "memory"}:
        errors.forbidden(path, "HugePages require cpu or memory")
    _check_claims(errors, resources.get("claims") or [], claims, f"{path}.claims")


def _check_against_limit(errors: Errors, name: str, request: Any, limit: Any, path: str) -> None:
    asked, most = Quantity.parse(request), Quantity.parse(limit)
    if (is_extended(name) or name.startswith(HUGEPAGES)) and asked != most:
        errors.invalid(path, str(asked), f"must be equal to {name} limit of {most}")
    elif most < asked:
        errors.invalid(path, str(asked), f"must be less than or equal to {name} limit of {most}")


def _check_claims(errors: Errors, items: list[Object], known: Collection[str], path: str) -> None:
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(items):
        name, request = item.get("name", ""), item.get("request", "")
        at = f"{path}[{index}]"
        if not name:
            errors.required(f"{at}.name")
        elif (name, request) in seen:
            errors.duplicate(at, f"{name}/{request}" if request else name)
        elif name not in known:
            errors.not_found(at, name)
        seen.add((name, request))
