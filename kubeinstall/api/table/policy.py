"""Rows of access, admission, priority and certificate kinds."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.table.cells import NONE, UNSET, Cells, age_of, at, condition, name_of
from kubeinstall.api.table.durations import human
from kubeinstall.api.types import Object


def role_binding(obj: Object, now: float) -> Cells:
    """RoleBinding and ClusterRoleBinding."""
    subjects = obj.get("subjects") or ()

    def names(kind: str) -> str:
        return ", ".join(each.get("name", "") for each in subjects if each.get("kind") == kind)

    accounts = ", ".join(
        f"{each.get('namespace', '')}/{each.get('name', '')}"
        for each in subjects
        if each.get("kind") == "ServiceAccount"
    )
    role = obj.get("roleRef") or {}
    shown = f"{role.get('kind', '')}/{role.get('name', '')}"
    return [name_of(obj), shown, age_of(obj, now), names("User"), names("Group"), accounts]


def signing_request(obj: Object, now: float) -> Cells:
    """CertificateSigningRequest."""
    spec = obj.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else human(seconds),
        _signing_status(obj),
    ]


def _signing_status(obj: Object) -> str:
    decided = [word for word in ("Denied", "Approved") if condition(obj, word)]
    text = decided[0] if decided else "Pending"
    if condition(obj, "Failed"):
        text += ",Failed"
    return f"{text},Issued" if at(obj, "status", "certificate") else text


def trust_bundle(obj: Object, now: float) -> Cells:
    """ClusterTrustBundle."""
    return [name_of(obj), at(obj, "spec", "signerName") or NONE]


def lease(obj: Object, now: float) -> Cells:
    """Lease."""
    return [name_of(obj), at(obj, "spec", "holderIdentity") or "", age_of(obj, now)]


def lease_candidate(obj: Object, now: float) -> Cells:
    """LeaseCandidate."""
    spec = obj.get("spec") or {}
    shown = [spec.get(key, "") for key in ("leaseName", "binaryVersion", "emulationVersion")]
    return [name_of(obj), *shown, age_of(obj, now)]


def priority_class(obj: Object, now: float) -> Cells:
    """PriorityClass."""
    return [
        name_of(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age_of(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def runtime_class(obj: Object, now: float) -> Cells:
    """RuntimeClass."""
    return [name_of(obj), obj.get("handler", ""), age_of(obj, now)]


def webhooks(obj: Object, now: float) -> Cells:
    """Mutating- and ValidatingWebhookConfiguration."""
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


def admission_policy(obj: Object, now: float) -> Cells:
    """Validating- and MutatingAdmissionPolicy."""
    spec = obj.get("spec") or {}
    rules = spec.get("validations") or spec.get("mutations") or ()
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else UNSET
    return [name_of(obj), len(rules), shown, age_of(obj, now)]


def policy_binding(obj: Object, now: float) -> Cells:
    """Validating- and MutatingAdmissionPolicyBinding."""
    spec = obj.get("spec") or {}
    param: dict[str, Any] = spec.get("paramRef") or {}
    shown = UNSET
    if param.get("name"):
        namespace = param.get("namespace")
        shown = f"{namespace}/{param['name']}" if namespace else param["name"]
    elif param.get("selector") is not None:
        shown = "*"
    return [name_of(obj), spec.get("policyName", ""), shown, age_of(obj, now)]


def flow_schema(obj: Object, now: float) -> Cells:
    """FlowSchema."""
    spec = obj.get("spec") or {}
    dangling = condition(obj, "Dangling")
    return [
        name_of(obj),
        at(spec, "priorityLevelConfiguration", "name") or NONE,
        spec.get("matchingPrecedence", 0),
        at(spec, "distinguisherMethod", "type") or NONE,
        age_of(obj, now),
        dangling.get("status", "?") if dangling else "?",
    ]


def priority_level(obj: Object, now: float) -> Cells:
    """PriorityLevelConfiguration."""
    spec = obj.get("spec") or {}
    shares = at(spec, "limited", "nominalConcurrencyShares")
    if shares is None:
        shares = at(spec, "exempt", "nominalConcurrencyShares")
    queuing = at(spec, "limited", "limitResponse", "queuing") or {}
    return [
        name_of(obj),
        spec.get("type", ""),
        NONE if shares is None else shares,
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
        age_of(obj, now),
    ]
