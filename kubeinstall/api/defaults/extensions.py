"""Access, admission, network, storage and device kinds."""

from __future__ import annotations

from typing import Final

from kubeinstall.api import times
from kubeinstall.api.defaults.common import each, fill, fill_empty, part
from kubeinstall.api.types import Object

_RBAC: Final = "rbac.authorization.k8s.io"
_WEBHOOK: Final = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10}
_WEBHOOK_PORT: Final = 443


def role_binding(obj: Object) -> None:
    """RoleBinding and ClusterRoleBinding: API groups of roles and subjects."""
    fill_empty(part(obj, "roleRef"), {"apiGroup": _RBAC})
    for subject in each(obj, "subjects"):
        if subject.get("kind") in {"User", "Group"}:
            fill_empty(subject, {"apiGroup": _RBAC})


def _service_port(client_config: Object) -> None:
    service = client_config.get("service")
    if service is not None:
        fill(service, {"port": _WEBHOOK_PORT})


def _rules(obj: Object, name: str) -> None:
    for rule in each(obj, name):
        fill(rule, {"scope": "*"})


def _selectors(obj: Object) -> None:
    part(obj, "namespaceSelector")
    part(obj, "objectSelector")


def validating_webhooks(obj: Object) -> None:
    """ValidatingWebhookConfiguration."""
    for webhook in each(obj, "webhooks"):
        fill(webhook, _WEBHOOK)
        _selectors(webhook)
        _rules(webhook, "rules")
        _service_port(part(webhook, "clientConfig"))


def mutating_webhooks(obj: Object) -> None:
    """MutatingWebhookConfiguration."""
    validating_webhooks(obj)
    for webhook in each(obj, "webhooks"):
        fill(webhook, {"reinvocationPolicy": "Never"})


def _match_resources(match: Object | None) -> None:
    if match is None:
        return
    fill(match, {"matchPolicy": "Equivalent"})
    _selectors(match)
    _rules(match, "resourceRules")
    _rules(match, "excludeResourceRules")


def admission_policy(obj: Object) -> None:
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy."""
    spec = part(obj, "spec")
    fill(spec, {"failurePolicy": "Fail"})
    _match_resources(spec.get("matchConstraints"))


def admission_policy_binding(obj: Object) -> None:
    """ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding."""
    spec = part(obj, "spec")
    reference = spec.get("paramRef")
    if reference is not None:
        fill(reference, {"parameterNotFoundAction": "Deny"})
    _match_resources(spec.get("matchResources"))


def custom_resource_definition(obj: Object) -> None:
    """CustomResourceDefinition: names from the kind, no conversion, the stored version."""
    spec = part(obj, "spec")
    names = part(spec, "names")
    kind = names.get("kind", "")
    if kind:
        fill_empty(names, {"singular": kind.lower(), "listKind": f"{kind}List"})
    conversion = part(spec, "conversion")
    fill_empty(conversion, {"strategy": "None"})
    client_config = (conversion.get("webhook") or {}).get("clientConfig")
    if client_config:
        _service_port(client_config)
    status = part(obj, "status")
    if not status.get("storedVersions"):
        stored = [one.get("name", "") for one in each(spec, "versions") if one.get("storage")][:1]
        status["storedVersions"] = stored or None
    names = part(status, "acceptedNames")
    kind = names.get("kind", "")
    if kind:
        fill_empty(names, {"singular": kind.lower(), "listKind": f"{kind}List"})


def api_service(obj: Object) -> None:
    """APIService: the port of its service."""
    _service_port(part(obj, "spec"))


def flow_schema(obj: Object) -> None:
    """FlowSchema."""
    fill_empty(part(obj, "spec"), {"matchingPrecedence": 1000})


def priority_level(obj: Object) -> None:
    """PriorityLevelConfiguration."""
    spec = part(obj, "spec")
    exempt = spec.get("exempt")
    if exempt is not None:
        fill(exempt, {"nominalConcurrencyShares": 0, "lendablePercent": 0})
    limited = spec.get("limited")
    if limited is not None:
        fill(limited, {"nominalConcurrencyShares": 30, "lendablePercent": 0})
        queuing = part(limited, "limitResponse").get("queuing")
        if queuing is not None:
            fill_empty(queuing, {"queues": 64, "handSize": 8, "queueLengthLimit": 50})


def network_policy(obj: Object) -> None:
    """NetworkPolicy: protocols, and the directions its rules speak of."""
    spec = part(obj, "spec")
    for rule in (*each(spec, "ingress"), *each(spec, "egress")):
        for port in each(rule, "ports"):
            fill(port, {"protocol": "TCP"})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def ingress_class(obj: Object) -> None:
    """IngressClass: the scope of its parameters."""
    parameters = part(obj, "spec").get("parameters")
    if parameters is not None:
        fill(parameters, {"scope": "Cluster"})


def endpoint_slice(obj: Object) -> None:
    """EndpointSlice: names and protocols of ports."""
    for port in each(obj, "ports"):
        fill(port, {"name": "", "protocol": "TCP"})


def priority_class(obj: Object) -> None:
    """PriorityClass."""
    fill(obj, {"preemptionPolicy": "PreemptLowerPriority"})


def storage_class(obj: Object) -> None:
    """StorageClass."""
    fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def csi_driver(obj: Object) -> None:
    """CSIDriver."""
    spec = part(obj, "spec")
    fill(
        spec,
        {
            "attachRequired": True,
            "podInfoOnMount": False,
            "storageCapacity": False,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "requiresRepublish": False,
            "seLinuxMount": False,
        },
    )
    fill_empty(spec, {"volumeLifecycleModes": ["Persistent"]})


def token_request(obj: Object) -> None:
    """TokenRequest: an hour."""
    fill(part(obj, "spec"), {"expirationSeconds": 3600})


def resource_claim(obj: Object) -> None:
    """ResourceClaim."""
    _device_claim(part(part(obj, "spec"), "devices"))
    allocation = part(obj, "status").get("allocation")
    if allocation:
        for result in each(part(allocation, "devices"), "results"):
            _tolerations(result)


def resource_claim_template(obj: Object) -> None:
    """ResourceClaimTemplate."""
    _device_claim(part(part(part(obj, "spec"), "spec"), "devices"))


def _device_claim(devices: Object) -> None:
    for request in each(devices, "requests"):
        exactly = request.get("exactly")
        wanted = [*each(request, "firstAvailable"), *([] if exactly is None else [exactly])]
        for one in wanted:
            fill_empty(one, {"allocationMode": "ExactCount"})
            if one["allocationMode"] == "ExactCount":
                fill_empty(one, {"count": 1})
            _tolerations(one)


def _tolerations(obj: Object) -> None:
    for toleration in each(obj, "tolerations"):
        fill_empty(toleration, {"operator": "Equal"})


def resource_slice(obj: Object) -> None:
    """ResourceSlice: when its devices' taints were added."""
    for device in each(part(obj, "spec"), "devices"):
        for taint in each(device, "taints"):
            if taint.get("timeAdded") is None:
                taint["timeAdded"] = times.now()
