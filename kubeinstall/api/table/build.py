"""Putting Tables and PartialObjectMetadata together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from kubeinstall.api.resources import Resource
from kubeinstall.api.table import core, network, policy, storage, workloads
from kubeinstall.api.table.cells import Cells
from kubeinstall.api.table.columns import COLUMNS, Column, builtin_columns
from kubeinstall.api.table.custom import CustomColumns
from kubeinstall.api.table.pods import pod_conditions, pod_row
from kubeinstall.api.types import Object

Printer = Callable[[Object, float], Cells]

META_V1: Final = "meta.k8s.io/v1"

_ADMISSION: Final = "admissionregistration.k8s.io"
_STORAGE: Final = "storage.k8s.io"
_NETWORK: Final = "networking.k8s.io"

PRINTERS: Final[dict[tuple[str, str], Printer]] = {
    ("", "Pod"): pod_row,
    ("", "PodTemplate"): workloads.pod_template,
    ("policy", "PodDisruptionBudget"): workloads.disruption_budget,
    ("", "ReplicationController"): workloads.replicas,
    ("apps", "ReplicaSet"): workloads.replicas,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("", "Service"): network.service,
    (_NETWORK, "Ingress"): network.ingress,
    (_NETWORK, "IngressClass"): network.ingress_class,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("", "Endpoints"): network.endpoints,
    ("", "Node"): core.node,
    ("", "Event"): core.event,
    ("events.k8s.io", "Event"): core.event,
    ("", "Namespace"): core.namespace,
    ("", "Secret"): core.secret,
    ("", "ServiceAccount"): core.name_age,
    ("", "PersistentVolume"): storage.persistent_volume,
    ("", "PersistentVolumeClaim"): storage.persistent_volume_claim,
    ("", "ComponentStatus"): core.component_status,
    ("apps", "Deployment"): workloads.deployment,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.autoscaler,
    ("", "ConfigMap"): core.config_map,
    (_NETWORK, "NetworkPolicy"): network.network_policy,
    ("rbac.authorization.k8s.io", "RoleBinding"): policy.role_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): policy.role_binding,
    ("certificates.k8s.io", "CertificateSigningRequest"): policy.signing_request,
    ("certificates.k8s.io", "ClusterTrustBundle"): policy.trust_bundle,
    ("coordination.k8s.io", "Lease"): policy.lease,
    ("coordination.k8s.io", "LeaseCandidate"): policy.lease_candidate,
    (_STORAGE, "StorageClass"): storage.storage_class,
    (_STORAGE, "VolumeAttributesClass"): storage.volume_attributes_class,
    ("apps", "ControllerRevision"): workloads.controller_revision,
    ("", "ResourceQuota"): core.resource_quota,
    ("scheduling.k8s.io", "PriorityClass"): policy.priority_class,
    ("node.k8s.io", "RuntimeClass"): policy.runtime_class,
    (_STORAGE, "VolumeAttachment"): storage.volume_attachment,
    ("discovery.k8s.io", "EndpointSlice"): network.endpoint_slice,
    (_STORAGE, "CSINode"): storage.csi_node,
    (_STORAGE, "CSIDriver"): storage.csi_driver,
    (_STORAGE, "CSIStorageCapacity"): storage.csi_storage_capacity,
    (_ADMISSION, "MutatingWebhookConfiguration"): policy.webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): policy.webhooks,
    (_ADMISSION, "ValidatingAdmissionPolicy"): policy.admission_policy,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): policy.policy_binding,
    (_ADMISSION, "MutatingAdmissionPolicy"): policy.admission_policy,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): policy.policy_binding,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): policy.flow_schema,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): policy.priority_level,
    ("autoscaling", "Scale"): core.scale,
    ("resource.k8s.io", "DeviceClass"): core.name_age,
    ("resource.k8s.io", "ResourceClaim"): core.resource_claim,
    ("resource.k8s.io", "ResourceClaimTemplate"): core.name_age,
    ("resource.k8s.io", "ResourceSlice"): core.resource_slice,
    (_NETWORK, "ServiceCIDR"): network.service_cidr,
    (_NETWORK, "IPAddress"): network.ip_address,
    ("storagemigration.k8s.io", "StorageVersionMigration"): core.migration,
    ("apiregistration.k8s.io", "APIService"): core.api_service,
}
if PRINTERS.keys() != COLUMNS.keys():
    raise AssertionError("every kind with columns needs a printer, and the reverse")


def columns(
    resource: Resource, custom: CustomColumns | None = None, *, kind: str = ""
) -> list[Column]:
    """`columnDefinitions` of a resource; `kind` of a subresource with another (Scale)."""
    custom = custom or _of_definition(resource, kind)
    if custom is not None:
        return custom.definitions
    group = "autoscaling" if kind == "Scale" else resource.group
    return list(builtin_columns(group, kind or resource.kind))


def row(
    resource: Resource,
    obj: Object,
    now: float,
    custom: CustomColumns | None = None,
    *,
    kind: str = "",
) -> Cells:
    """The cells of an object (whole, in the version of `resource`) at `now`, in Unix seconds."""
    custom = custom or _of_definition(resource, kind)
    if custom is not None:
        return custom.cells(obj, now)
    group = "autoscaling" if kind == "Scale" else resource.group
    return PRINTERS.get((group, kind or resource.kind), core.default)(obj, now)


def _of_definition(resource: Resource, kind: str) -> CustomColumns | None:
    """Columns of a custom resource; a Scale of it has the Scale's."""
    if resource.custom is None or kind:
        return None
    return cast("CustomColumns", resource.custom.columns)


def table_row(
    resource: Resource,
    obj: Object,
    now: float,
    *,
    include: str = "Metadata",
    custom: CustomColumns | None = None,
    kind: str = "",
) -> Object:
    """One `rows` entry. `include` is the request's includeObject: None, Metadata or Object."""
    entry: Object = {"cells": row(resource, obj, now, custom, kind=kind)}
    is_pod = resource.group == "" and resource.kind == "Pod" and not kind
    if is_pod and (conditions := pod_conditions(obj)):
        entry["conditions"] = conditions
    if include == "Object":
        head = {"kind": kind or resource.kind, "apiVersion": resource.api_version}
        entry["object"] = {**head, **obj}
    else:
        entry["object"] = None if include == "None" else partial(obj)
    return entry


def table(
    resource: Resource,
    objects: Iterable[Object],
    *,
    list_metadata: Object | None = None,
    include: str = "Metadata",
    custom: CustomColumns | None = None,
    kind: str = "",
    headers: bool = True,
    now: float | None = None,
    api_version: str = META_V1,
) -> Object:
    """A whole Table. `list_metadata` is the list's (resourceVersion, continue, remainingItemCount)
    or, for a single object, its resourceVersion. `headers=False`: a watch's later events leave the
    definitions out.
    """
    moment = time.time() if now is None else now
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": list_metadata or {},
        "columnDefinitions": columns(resource, custom, kind=kind) if headers else None,
        "rows": [
            table_row(resource, each, moment, include=include, custom=custom, kind=kind)
            for each in objects
        ],
    }


def partial(obj: Object, api_version: str = META_V1) -> Object:
    """PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": obj.get("metadata") or {},
    }


def partial_list(
    objects: Iterable[Object], list_metadata: Object, api_version: str = META_V1
) -> Object:
    """PartialObjectMetadataList; without objects its `items` are null, as upstream's."""
    items: list[Any] = [partial(each, api_version) for each in objects]
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": list_metadata,
        "items": items or None,
    }
