"""Which rules a kind has: the table that everything is looked up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.api.validation import (
    admission,
    api_services,
    apps,
    batch,
    extensions,
    flowcontrol,
    mutations,
    networking,
    policy,
    rbac,
    reviews,
    storage,
)
from kubeinstall.api.validation.core import claims, cluster, config, quota, service
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    Check,
    dns1035_label,
    dns1123_label,
    dns1123_subdomain,
    path_segment,
)
from kubeinstall.api.validation.pod import pod

Create = Callable[[Errors, Object], None]
Update = Callable[[Errors, Object, Object], None]


def nothing(_errors: Errors, _item: Object) -> None:
    """A kind without rules beyond its schema."""


def any_name(_name: str) -> list[str]:
    """A name that the kind's own rules check, or that is free."""
    return []


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of a kind. `update` None: an update is checked as a new object; `status` None: status is free."""

    create: Create = nothing
    update: Update | None = None
    status: Create | None = None
    name: Check = dns1123_subdomain


_APPS, _RBAC, _STORAGE = "apps", "rbac.authorization.k8s.io", "storage.k8s.io"
_NETWORK, _ADMISSION = "networking.k8s.io", "admissionregistration.k8s.io"
_CERTIFICATES = "certificates.k8s.io"

RULES: dict[tuple[str, str], Rules] = {
    ("", "Pod"): Rules(pod.check_create, pod.check_update),
    ("", "PodTemplate"): Rules(cluster.check_template),
    ("", "ReplicationController"): Rules(cluster.check_controller),
    ("", "Service"): Rules(service.check_service, service.check_service_update, name=dns1035_label),
    ("", "Endpoints"): Rules(service.check_endpoints),
    ("", "ConfigMap"): Rules(config.check_config_map, config.check_config_map_update),
    ("", "Secret"): Rules(config.check_secret, config.check_secret_update),
    ("", "PersistentVolume"): Rules(claims.check_volume, claims.check_volume_update),
    ("", "PersistentVolumeClaim"): Rules(claims.check_claim, claims.check_claim_update),
    ("", "ResourceQuota"): Rules(
        quota.check_quota, quota.check_quota_update, quota.check_quota_status
    ),
    ("", "LimitRange"): Rules(quota.check_limit_range),
    ("", "Node"): Rules(cluster.check_node, cluster.check_node_update),
    ("", "Namespace"): Rules(cluster.check_namespace, name=dns1123_label),
    ("", "Event"): Rules(cluster.check_event),
    ("events.k8s.io", "Event"): Rules(cluster.check_event),
    (_APPS, "Deployment"): Rules(
        apps.check_deployment, apps.check_workload_update(apps.check_deployment)
    ),
    (_APPS, "ReplicaSet"): Rules(
        apps.check_replica_set, apps.check_workload_update(apps.check_replica_set)
    ),
    (_APPS, "DaemonSet"): Rules(
        apps.check_daemon_set, apps.check_workload_update(apps.check_daemon_set)
    ),
    (_APPS, "StatefulSet"): Rules(apps.check_stateful_set, apps.check_stateful_set_update),
    (_APPS, "ControllerRevision"): Rules(apps.check_revision, apps.check_revision_update),
    ("batch", "Job"): Rules(batch.check_job, batch.check_job_update),
    ("batch", "CronJob"): Rules(batch.check_cron_job),
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(policy.check_autoscaler),
    ("autoscaling", "Scale"): Rules(apps.check_scale),
    ("policy", "PodDisruptionBudget"): Rules(policy.check_budget),
    ("scheduling.k8s.io", "PriorityClass"): Rules(
        policy.check_priority_class, policy.check_priority_class_update
    ),
    ("coordination.k8s.io", "Lease"): Rules(policy.check_lease),
    ("coordination.k8s.io", "LeaseCandidate"): Rules(policy.check_lease_candidate),
    ("node.k8s.io", "RuntimeClass"): Rules(
        policy.check_runtime_class, policy.check_runtime_class_update
    ),
    ("discovery.k8s.io", "EndpointSlice"): Rules(
        networking.check_endpoint_slice, networking.check_endpoint_slice_update
    ),
    (_NETWORK, "Ingress"): Rules(networking.check_ingress),
    (_NETWORK, "IngressClass"): Rules(
        networking.check_ingress_class, networking.check_ingress_class_update
    ),
    (_NETWORK, "NetworkPolicy"): Rules(networking.check_network_policy),
    (_NETWORK, "ServiceCIDR"): Rules(
        networking.check_service_cidr, networking.check_service_cidr_update
    ),
    (_NETWORK, "IPAddress"): Rules(networking.check_ip_address, name=any_name),
    (_RBAC, "Role"): Rules(rbac.check_role, name=path_segment),
    (_RBAC, "ClusterRole"): Rules(rbac.check_cluster_role, name=path_segment),
    (_RBAC, "RoleBinding"): Rules(rbac.check_binding, rbac.check_binding_update, name=path_segment),
    (_RBAC, "ClusterRoleBinding"): Rules(
        rbac.check_cluster_binding, rbac.check_cluster_binding_update, name=path_segment
    ),
    (_STORAGE, "StorageClass"): Rules(storage.check_class, storage.check_class_update),
    (_STORAGE, "VolumeAttachment"): Rules(
        storage.check_attachment, storage.check_attachment_update
    ),
    (_STORAGE, "CSINode"): Rules(storage.check_csi_node),
    (_STORAGE, "CSIDriver"): Rules(
        storage.check_driver, storage.check_driver_update, name=any_name
    ),
    (_STORAGE, "CSIStorageCapacity"): Rules(storage.check_capacity, storage.check_capacity_update),
    (_STORAGE, "VolumeAttributesClass"): Rules(
        storage.check_attributes_class, storage.check_attributes_class_update
    ),
    (_ADMISSION, "MutatingWebhookConfiguration"): Rules(admission.check_webhooks(mutating=True)),
    (_ADMISSION, "ValidatingWebhookConfiguration"): Rules(admission.check_webhooks(mutating=False)),
    (_ADMISSION, "ValidatingAdmissionPolicy"): Rules(admission.check_policy),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): Rules(admission.check_policy_binding),
    (_ADMISSION, "MutatingAdmissionPolicy"): Rules(mutations.check_mutating_policy),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): Rules(mutations.check_mutating_binding),
    ("apiregistration.k8s.io", "APIService"): Rules(
        api_services.check_api_service, name=path_segment
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rules(
        extensions.check_definition, extensions.check_definition_update
    ),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): Rules(flowcontrol.check_flow_schema),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): Rules(
        flowcontrol.check_priority_level
    ),
    (_CERTIFICATES, "CertificateSigningRequest"): Rules(
        reviews.check_signing_request, reviews.check_signing_request_update
    ),
    (_CERTIFICATES, "ClusterTrustBundle"): Rules(reviews.check_trust_bundle, name=any_name),
    ("authentication.k8s.io", "TokenRequest"): Rules(reviews.check_token_request),
    ("authorization.k8s.io", "SubjectAccessReview"): Rules(reviews.check_access_review),
    ("authorization.k8s.io", "SelfSubjectAccessReview"): Rules(reviews.check_access_review),
    ("authorization.k8s.io", "LocalSubjectAccessReview"): Rules(reviews.check_access_review),
}
_PLAIN = Rules()


def rules_for(group: str, kind: str) -> Rules:
    """The rules of a kind; metadata only where it has none of its own."""
    return RULES.get((group, kind), _PLAIN)
