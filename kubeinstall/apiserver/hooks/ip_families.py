"""Defaults of `ipFamilies` and `ipFamilyPolicy`. Upstream documentation: "IPv4/IPv6 dual-stack"."""

from __future__ import annotations

import ipaddress

from kubeinstall.api.types import Object
from kubeinstall.apiserver.hooks import traits
from kubeinstall.errors import FieldError, Invalid

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def set_families(service: Object, supported: tuple[str, ...], old: Object | None = None) -> None:
    """Fill in families and policy. Raises `Invalid` when the cluster does not have what is asked.

    `supported` are the cluster's families, its default first.
    """
    if not traits.needs_cluster_ip(service):
        return
    spec = service["spec"]
    if traits.is_headless(service) and not spec.get("selector"):
        _selectorless(spec, supported)
        return
    if old is not None and traits.needs_cluster_ip(old):
        for field in ("ipFamilyPolicy", "ipFamilies"):
            if not spec.get(field) and old["spec"].get(field):
                value = old["spec"][field]
                spec[field] = list(value) if isinstance(value, list) else value
    _infer(service, supported)
    _check(service, supported)
    if spec["ipFamilyPolicy"] == SINGLE and old is not None and len(spec["ipFamilies"]) == 2:
        _downgrade(spec, old)
    if spec["ipFamilyPolicy"] != SINGLE and len(spec["ipFamilies"]) == 1:
        other = _OTHER[spec["ipFamilies"][0]]
        if other in supported:
            spec["ipFamilies"] = [*spec["ipFamilies"], other]


def _selectorless(spec: Object, supported: tuple[str, ...]) -> None:
    """Endpoints of these come from elsewhere, so both families are possible."""
    spec.setdefault("ipFamilyPolicy", REQUIRE)
    if not spec.get("ipFamilies"):
        families = [supported[0]]
        if spec["ipFamilyPolicy"] != SINGLE:
            families.append(_OTHER[supported[0]])
        spec["ipFamilies"] = families


def _infer(service: Object, supported: tuple[str, ...]) -> None:
    spec = service["spec"]
    families = list(spec.get("ipFamilies") or ())
    for position, text in enumerate(traits.cluster_ips(service)):
        if position >= len(families):
            try:
                families.append(f"IPv{ipaddress.ip_address(text).version}")
            except ValueError:
                break  # validation says what is wrong with it
    spec["ipFamilies"] = families or [supported[0]]
    spec["ipFamilyPolicy"] = spec.get("ipFamilyPolicy") or SINGLE


def _downgrade(spec: Object, old: Object) -> None:
    """From dual to single stack: the first family and address stay."""
    if len(old["spec"].get("ipFamilies") or ()) == 2:
        spec["ipFamilies"] = spec["ipFamilies"][:1]
        if len(spec.get("clusterIPs") or ()) == 2:
            spec["clusterIPs"] = spec["clusterIPs"][:1]


def _check(service: Object, supported: tuple[str, ...]) -> None:
    spec = service["spec"]
    errors: list[FieldError] = []
    if spec["ipFamilyPolicy"] == REQUIRE and len(supported) < 2:
        errors.append(
            FieldError(
                "FieldValueInvalid",
                "spec.ipFamilyPolicy",
                f'Invalid value: "{REQUIRE}": this cluster is not configured for dual-stack services',
            )
        )
    errors.extend(
        FieldError(
            "FieldValueInvalid",
            f"spec.ipFamilies[{position}]",
            f'Invalid value: "{family}": not configured on this cluster',
        )
        for position, family in enumerate(spec["ipFamilies"])
        if family in _OTHER and family not in supported
    )
    if errors:
        raise Invalid("", "Service", service["metadata"].get("name", ""), errors)
