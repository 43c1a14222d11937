"""apiregistration.k8s.io/v1: APIServices."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1035_label, dns1123_label, dns1123_subdomain


def check_api_service(errors: Errors, item: Object) -> None:
    """An APIService."""
    spec = item.get("spec") or {}
    group, version, name = (
        spec.get("group", ""),
        spec.get("version", ""),
        item["metadata"].get("name", ""),
    )
    wanted = f"{version}.{group}"
    if name != wanted:
        errors.invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if group:
        errors.each("spec.group", group, dns1123_subdomain(group))
    if version:
        errors.each("spec.version", version, dns1035_label(version))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= most:
            errors.invalid(f"spec.{field}", value, f"must be positive and less than {most}")
    _check_api_backend(errors, spec)


def _check_api_backend(errors: Errors, spec: Object) -> None:
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            errors.invalid(
                "spec.caBundle",
                f"{len(spec['caBundle'])} bytes",
                "local APIServices may not have a caBundle",
            )
        if spec.get("insecureSkipTLSVerify"):
            message = "local APIServices may not have insecureSkipTLSVerify"
            errors.invalid("spec.insecureSkipTLSVerify", True, message)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            errors.required(f"spec.service.{field}")
        elif field == "namespace":
            errors.each("spec.service.namespace", service[field], dns1123_label(service[field]))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        message = "may not be true if caBundle is present"
        errors.invalid("spec.insecureSkipTLSVerify", True, message)
