"""Whether a Service's addresses, families and policy fit together, before anything is allocated.

Upstream looks at these fields before it allocates, and answers with what it finds there alone.
What is wrong in itself (an unknown family, a malformed address) is left to validation, which comes
later and has the words for it; then nothing is allocated.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver.hooks import traits
from kubeinstall.errors import FieldError, Invalid

_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")
_DUAL = _POLICIES[1:]


def check(service: Object, old: Object | None = None) -> bool:
    """Whether allocation can begin. Raises `Invalid` for fields that contradict each other."""
    if not traits.needs_cluster_ip(service):
        return True
    spec = service["spec"]
    ip, ips = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    errors: list[FieldError] = []
    if ip and ips and ips[0] != ip:
        errors.append(_invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"))
    elif ips and not ip:
        errors.append(
            _invalid("spec.clusterIPs", ips, "must be empty when `clusterIP` is not specified")
        )
    if old is None and spec.get("ipFamilyPolicy") not in _DUAL:
        errors.extend(_single_stack(spec, ips))
    if errors:
        raise Invalid("", "Service", service["metadata"].get("name", ""), errors)
    return _is_sound(spec, ips)


def _single_stack(spec: Object, ips: list[str]) -> list[FieldError]:
    policy, path = spec.get("ipFamilyPolicy"), "spec.ipFamilyPolicy"
    if policy is not None and policy not in _POLICIES:
        return []
    why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
    return [
        _invalid(path, policy, why.format(what))
        for what, values in (("cluster IPs", ips), ("IP families", spec.get("ipFamilies") or []))
        if len(values) == 2
    ]


def _is_sound(spec: Object, ips: list[str]) -> bool:
    families = spec.get("ipFamilies") or []
    if len(ips) > 2 or len(families) > 2 or len(set(families)) != len(families):
        return False
    if any(family not in _FAMILIES for family in families):
        return False
    if spec.get("ipFamilyPolicy") is not None and spec["ipFamilyPolicy"] not in _POLICIES:
        return False
    if traits.NONE in ips:
        return len(ips) == 1
    try:
        versions = [f"IPv{ipaddress.ip_address(text).version}" for text in ips]
    except ValueError:
        return False
    return len(set(versions)) == len(versions) and all(
        family == version for family, version in zip(families, versions, strict=False)
    )


def _invalid(path: str, value: Any, why: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {_shown(value)}: {why}")


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()
