"""Environment variables: plain, from fields, resources, ConfigMaps and Secrets."""

from __future__ import annotations

import re
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    config_key,
    dns1123_subdomain,
    env_name,
    qualified_name,
)

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_KNOWN_FIELDS = frozenset(
    (*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase")
)
_SUBSCRIPT = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_MEMORY_DIVISORS = (
    "1",
    "1k",
    "1M",
    "1G",
    "1T",
    "1P",
    "1E",
    "1Ki",
    "1Mi",
    "1Gi",
    "1Ti",
    "1Pi",
    "1Ei",
)
_CPU_DIVISORS = ("1m", "1")


def check_env(errors: Errors, variables: list[Object], path: str) -> None:
    """`env`."""
    for index, variable in enumerate(variables):
        at = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            errors.required(f"{at}.name")
        else:
            errors.each(f"{at}.name", name, env_name(name))
        if variable.get("valueFrom") is not None:
            _check_value_from(errors, variable, f"{at}.valueFrom")


def check_env_from(errors: Errors, sources: list[Object], path: str) -> None:
    """`envFrom`."""
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        prefix = source.get("prefix", "")
        if prefix:
            errors.each(f"{at}.prefix", prefix, env_name(prefix))
        found = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
        for field in found:
            _check_reference_name(errors, source[field], f"{at}.{field}.name")
        if not found:
            errors.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(found) > 1:
            errors.invalid(at, "", "may not have more than one field specified at a time")


def _check_reference_name(errors: Errors, reference: Object, path: str) -> None:
    name = reference.get("name", "")
    if not name:
        errors.required(path)
    else:
        errors.each(path, name, dns1123_subdomain(name))


def _check_value_from(errors: Errors, variable: Object, path: str) -> None:
    source = variable["valueFrom"]
    found = [field for field in _SOURCES if source.get(field) is not None]
    if "fieldRef" in found:
        check_field_ref(errors, source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS)
    if "resourceFieldRef" in found:
        check_resource_field_ref(
            errors, source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False
        )
    for field in ("configMapKeyRef", "secretKeyRef"):
        if field in found:
            _check_key_ref(errors, source[field], f"{path}.{field}")
    if not found:
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )
    elif variable.get("value"):
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(found) > 1:
        errors.invalid(path, "", "may not have more than one field specified at a time")


def _check_key_ref(errors: Errors, reference: Object, path: str) -> None:
    _check_reference_name(errors, reference, f"{path}.name")
    key = reference.get("key", "")
    if not key:
        errors.required(f"{path}.key")
    else:
        errors.each(f"{path}.key", key, config_key(key))


def check_field_ref(errors: Errors, reference: Object, path: str, allowed: tuple[str, ...]) -> None:
    """A downward API field; `allowed` are those that may stand without a subscript."""
    if not reference.get("apiVersion"):
        errors.required(f"{path}.apiVersion")
        return
    field = reference.get("fieldPath", "")
    if not field:
        errors.required(f"{path}.fieldPath")
        return
    subscript = _SUBSCRIPT.fullmatch(field)
    if subscript:
        key = subscript[2]
        errors.each(
            path, key, qualified_name(key.lower() if "annotations" in subscript[1] else key)
        )
        return
    if field not in _KNOWN_FIELDS:
        message = f"error converting fieldPath: field label not supported: {field}"
        errors.invalid(f"{path}.fieldPath", field, message)
    elif field not in allowed:
        errors.not_supported(f"{path}.fieldPath", field, sorted(allowed))


def check_resource_field_ref(errors: Errors, reference: Object, path: str, *, volume: bool) -> None:
    """A downward API resource of a container."""
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        errors.required(f"{path}.containerName")
    elif not resource:
        errors.required(f"{path}.resource")
    elif resource not in RESOURCES and not resource.startswith(
        ("limits.hugepages-", "requests.hugepages-")
    ):
        errors.not_supported(f"{path}.resource", resource, RESOURCES)
    else:
        _check_divisor(errors, resource, reference.get("divisor"), path)


def _check_divisor(errors: Errors, resource: str, divisor: Any, path: str) -> None:
    if divisor is None or not Quantity.parse(divisor):
        return
    kind = resource.partition(".")[2]
    allowed = _CPU_DIVISORS if kind == "cpu" else _MEMORY_DIVISORS
    if str(Quantity.parse(divisor)) not in allowed:
        what = "cpu" if kind == "cpu" else "hugepages" if kind.startswith("hugepages-") else kind
        errors.invalid(
            f"{path}.divisor",
            what if kind == "cpu" else resource,
            f"only divisor's values {' and '.join(allowed) if kind == 'cpu' else ', '.join(allowed)} "
            f"are supported with the {what} resource",
        )
