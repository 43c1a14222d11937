"""Default values of built-in kinds: what upstream's `SetDefaults_…` functions set.

Upstream defaults an object whenever it decodes one: from a request, after a patch, and on each read
from its store. Here the first two call `apply` after decoding; `api.strategy` calls it again at its end, so
that what is stored is what a read would have shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kubeinstall.api.defaults import claims, core, extensions, pods, workloads
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object

Default = Callable[[Object], None]

_ADMISSION: Final = "admissionregistration.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_RESOURCE: Final = "resource.k8s.io"

_BY_KIND: Final[dict[tuple[str, str, str], Default]] = {
    ("", "v1", "Endpoints"): core.endpoints,
    ("", "v1", "LimitRange"): core.limit_range,
    ("", "v1", "Namespace"): core.namespace,
    ("", "v1", "Node"): core.node,
    ("", "v1", "PersistentVolume"): core.persistent_volume,
    ("", "v1", "PersistentVolumeClaim"): claims.claim,
    ("", "v1", "Pod"): pods.pod,
    ("", "v1", "PodTemplate"): core.pod_template,
    ("", "v1", "ReplicationController"): core.replication_controller,
    ("", "v1", "ResourceQuota"): core.resource_quota,
    ("", "v1", "Secret"): core.secret,
    ("", "v1", "Service"): core.service,
    ("apps", "v1", "DaemonSet"): workloads.daemon_set,
    ("apps", "v1", "Deployment"): workloads.deployment,
    ("apps", "v1", "ReplicaSet"): workloads.replica_set,
    ("apps", "v1", "StatefulSet"): workloads.stateful_set,
    ("batch", "v1", "CronJob"): workloads.cron_job,
    ("batch", "v1", "Job"): workloads.job,
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): workloads.autoscaler_v1,
    ("autoscaling", "v2", "HorizontalPodAutoscaler"): workloads.autoscaler_v2,
    ("node.k8s.io", "v1", "RuntimeClass"): workloads.runtime_class,
    (_RBAC, "v1", "RoleBinding"): extensions.role_binding,
    (_RBAC, "v1", "ClusterRoleBinding"): extensions.role_binding,
    (_ADMISSION, "v1", "ValidatingWebhookConfiguration"): extensions.validating_webhooks,
    (_ADMISSION, "v1", "MutatingWebhookConfiguration"): extensions.mutating_webhooks,
    (_ADMISSION, "v1", "ValidatingAdmissionPolicy"): extensions.admission_policy,
    (_ADMISSION, "v1", "MutatingAdmissionPolicy"): extensions.admission_policy,
    (_ADMISSION, "v1", "ValidatingAdmissionPolicyBinding"): extensions.admission_policy_binding,
    (_ADMISSION, "v1", "MutatingAdmissionPolicyBinding"): extensions.admission_policy_binding,
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ): extensions.custom_resource_definition,
    ("apiregistration.k8s.io", "v1", "APIService"): extensions.api_service,
    ("authentication.k8s.io", "v1", "TokenRequest"): extensions.token_request,
    ("discovery.k8s.io", "v1", "EndpointSlice"): extensions.endpoint_slice,
    ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"): extensions.flow_schema,
    ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration"): extensions.priority_level,
    ("networking.k8s.io", "v1", "IngressClass"): extensions.ingress_class,
    ("networking.k8s.io", "v1", "NetworkPolicy"): extensions.network_policy,
    ("scheduling.k8s.io", "v1", "PriorityClass"): extensions.priority_class,
    ("storage.k8s.io", "v1", "CSIDriver"): extensions.csi_driver,
    ("storage.k8s.io", "v1", "StorageClass"): extensions.storage_class,
    (_RESOURCE, "v1", "ResourceClaim"): extensions.resource_claim,
    (_RESOURCE, "v1", "ResourceClaimTemplate"): extensions.resource_claim_template,
    (_RESOURCE, "v1", "ResourceSlice"): extensions.resource_slice,
}


def apply(resource: Resource, obj: Object) -> None:
    """Set what is missing, in place. `obj` is in `resource`'s version, as `codec` gives it."""
    if resource.custom is not None:
        resource.custom.default(obj)
        return
    default = _BY_KIND.get((resource.group, resource.version, resource.kind))
    if default is not None and resource.builtin:
        default(obj)


def apply_kind(group: str, version: str, kind: str, obj: Object) -> None:
    """As `apply`, for kinds without a resource of their own (TokenRequest)."""
    default = _BY_KIND.get((group, version, kind))
    if default is not None:
        default(obj)


__all__ = ["apply", "apply_kind"]
