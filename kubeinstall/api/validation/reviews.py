"""certificates, authentication and authorization groups."""

from __future__ import annotations

import base64
import binascii
import re

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_subdomain

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_EXCLUSIVE = frozenset({"Approved", "Denied"})
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


def check_signing_request(errors: Errors, item: Object) -> None:
    """A CertificateSigningRequest."""
    spec = item.get("spec") or {}
    _check_request(errors, spec.get("request", ""))
    usages = spec.get("usages") or []
    if not usages:
        errors.required("spec.usages")
    seen: set[str] = set()
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            errors.not_supported(f"spec.usages[{index}]", usage, USAGES)
        if usage in seen:
            errors.duplicate(f"spec.usages[{index}]", usage)
        seen.add(usage)
    signer = spec.get("signerName", "")
    if signer == "kubernetes.io/legacy-unknown":
        errors.invalid(
            "spec.signerName", signer, "the legacy signerName is not allowed via this API version"
        )
    else:
        check_signer_name(errors, signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        message = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.invalid("spec.expirationSeconds", seconds, message)
    _check_conditions(errors, (item.get("status") or {}).get("conditions") or [])


def _check_request(errors: Errors, encoded: str) -> None:
    try:
        text = base64.b64decode(encoded)
    except (ValueError, binascii.Error):
        text = b""
    found = _PEM.search(text)
    if found is None or found[1] != b"CERTIFICATE REQUEST":
        errors.invalid(
            "spec.request", encoded or None, "PEM block type must be CERTIFICATE REQUEST"
        )
        return
    from cryptography import x509

    try:
        request = x509.load_pem_x509_csr(found[0])
    except ValueError as error:
        errors.invalid("spec.request", encoded, str(error))
        return
    if not request.is_signature_valid:
        errors.invalid("spec.request", encoded, "the signature is not valid")


def check_signer_name(errors: Errors, name: str, path: str) -> None:
    """`example.com/signer-name`."""
    if not name:
        errors.required(path)
        return
    domain, slash, rest = name.partition("/")
    if not slash:
        errors.invalid(
            path,
            name,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )
        return
    if len(name) > 571:
        errors.too_long(path, 571)
    for problem in dns1123_subdomain(domain):
        errors.invalid(path, domain, f"validating label {_quote(domain)}: {problem}")
    if "." not in domain:
        errors.invalid(
            path, domain, "should be a domain with at least two segments separated by dots"
        )
    for step in rest.split("."):
        for problem in dns1123_subdomain(step):
            errors.invalid(path, step, f"validating label {_quote(step)}: {problem}")


def _quote(text: str) -> str:
    return f'"{text}"'


def _check_conditions(errors: Errors, conditions: list[Object]) -> None:
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        at, kind, status = (
            f"status.conditions[{index}]",
            condition.get("type", ""),
            condition.get("status", ""),
        )
        if not kind:
            errors.required(f"{at}.type")
        if kind in {"Approved", "Denied", "Failed"} and status != "True":
            if not status:
                errors.required(f"{at}.status")
            else:
                errors.not_supported(f"{at}.status", status, ("True",))
        if kind in _EXCLUSIVE and (_EXCLUSIVE - {kind}) & seen:
            errors.invalid(
                f"{at}.type", kind, "Approved and Denied conditions are mutually exclusive"
            )
        if kind in seen:
            errors.duplicate(f"{at}.type", kind)
        seen.add(kind)


def check_signing_request_update(errors: Errors, new: Object, old: Object) -> None:
    """A request's spec is fixed."""
    check_signing_request(errors, new)
    errors.immutable("spec", new.get("spec"), old.get("spec"))


def check_trust_bundle(errors: Errors, item: Object) -> None:
    """A ClusterTrustBundle."""
    spec = item.get("spec") or {}
    if spec.get("signerName"):
        check_signer_name(errors, spec["signerName"], "spec.signerName")
    if not spec.get("trustBundle"):
        errors.invalid(
            "spec.trustBundle", "<value omitted>", "at least one trust anchor must be provided"
        )


def check_token_request(errors: Errors, item: Object) -> None:
    """A TokenRequest: between ten minutes and 2^32 seconds."""
    seconds = (item.get("spec") or {}).get("expirationSeconds", 3600)
    if seconds < 600:
        errors.invalid(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
        )
    if seconds > 1 << 32:
        errors.invalid(
            "spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
        )


def check_access_review(errors: Errors, item: Object) -> None:
    """Self- and SubjectAccessReview: exactly one kind of attributes, and a subject where one is asked for."""
    spec = item.get("spec") or {}
    resource, url = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and url is not None:
        message = "cannot be specified in combination with resourceAttributes"
        errors.invalid("spec.nonResourceAttributes", url, message)
    if resource is None and url is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.invalid("spec.resourceAttributes", None, message)
    of_others = item.get("kind", "").startswith(("Subject", "Local"))
    if of_others and not spec.get("user") and not spec.get("groups"):
        errors.invalid(
            "spec.user", spec.get("user", ""), "at least one of user or group must be specified"
        )
    meta = {
        key: value
        for key, value in (item.get("metadata") or {}).items()
        if value and key != "managedFields"
    }
    if set(meta) - {"creationTimestamp"}:
        errors.invalid("metadata", meta, "must be empty")
