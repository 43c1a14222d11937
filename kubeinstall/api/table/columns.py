"""Column definitions of the built-in kinds, as upstream 1.36 prints them.

A line is `group/Kind: columns`; columns are separated by commas. `Name!` has format "name"; a leading
`+` is priority 1 (only shown wide); `=integer` (or boolean, date) is a type other than string.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from kubeinstall.api import schema

Column = dict[str, Any]

_WORKLOAD: Final = "+Containers, +Images, +Selector"
_REPLICAS: Final = f"Name!, Desired=integer, Current=integer, Ready=integer, Age, {_WORKLOAD}"
_BINDING: Final = "Name!, Role, Age, +Users, +Groups, +ServiceAccounts"
_WEBHOOKS: Final = "Name!, Webhooks=integer, Age"
_POLICY_BINDING: Final = "Name!, PolicyName, ParamRef, Age"
_NAME_AGE: Final = "Name!, Age"

#: What kinds without printer columns of their own show.
DEFAULT: Final = "Name!, Created At=date"

COLUMNS: Final[dict[tuple[str, str], str]] = {
    ("", "Pod"): (
        "Name!, Ready, Status, Restarts, Age, +IP, +Node, +Nominated Node, +Readiness Gates"
    ),
    ("", "PodTemplate"): "Name!, Containers, Images, Pod Labels",
    ("policy", "PodDisruptionBudget"): (
        "Name!, Min Available, Max Unavailable, Allowed Disruptions=integer, Age"
    ),
    ("", "ReplicationController"): _REPLICAS,
    ("apps", "ReplicaSet"): _REPLICAS,
    ("apps", "DaemonSet"): (
        "Name!, Desired=integer, Current=integer, Ready=integer, Up-to-date=integer, "
        f"Available=integer, Node Selector, Age, {_WORKLOAD}"
    ),
    ("batch", "Job"): f"Name!, Status, Completions, Duration, Age, {_WORKLOAD}",
    ("batch", "CronJob"): (
        "Name!, Schedule, Timezone, Suspend=boolean, Active=integer, Last Schedule, Age, "
        f"{_WORKLOAD}"
    ),
    ("", "Service"): "Name!, Type, Cluster-IP, External-IP, Port(s), Age, +Selector",
    ("networking.k8s.io", "Ingress"): "Name!, Class, Hosts, Address, Ports, Age",
    ("networking.k8s.io", "IngressClass"): "Name!, Controller, Parameters, Age",
    ("apps", "StatefulSet"): "Name!, Ready, Age, +Containers, +Images",
    ("", "Endpoints"): "Name!, Endpoints, Age",
    ("", "Node"): (
        "Name!, Status, Roles, Age, Version, +Internal-IP, +External-IP, +OS-Image, "
        "+Kernel-Version, +Container-Runtime"
    ),
    ("", "Event"): (
        "Last Seen, Type, Reason, Object, +Subobject, +Source, Message, +First Seen, +Count, +Name!"
    ),
    ("", "Namespace"): "Name!, Status, Age",
    ("", "Secret"): "Name!, Type, Data, Age",
    ("", "ServiceAccount"): _NAME_AGE,
    ("", "PersistentVolume"): (
        "Name!, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, "
        "VolumeAttributesClass, Reason, Age, +VolumeMode"
    ),
    ("", "PersistentVolumeClaim"): (
        "Name!, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, "
        "+VolumeMode"
    ),
    ("", "ComponentStatus"): "Name!, Status, Message, Error",
    ("apps", "Deployment"): f"Name!, Ready, Up-to-date, Available, Age, {_WORKLOAD}",
    ("autoscaling", "HorizontalPodAutoscaler"): (
        "Name!, Reference, Targets, MinPods, MaxPods, Replicas, Age"
    ),
    ("", "ConfigMap"): "Name!, Data, Age",
    ("networking.k8s.io", "NetworkPolicy"): "Name!, Pod-Selector, Age",
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("certificates.k8s.io", "CertificateSigningRequest"): (
        "Name!, Age, SignerName, Requestor, RequestedDuration, Condition"
    ),
    ("certificates.k8s.io", "ClusterTrustBundle"): "Name!, SignerName",
    ("coordination.k8s.io", "Lease"): "Name!, Holder, Age",
    ("coordination.k8s.io", "LeaseCandidate"): (
        "Name!, LeaseName, BinaryVersion, EmulationVersion, Age"
    ),
    ("storage.k8s.io", "StorageClass"): (
        "Name!, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age"
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): "Name!, DriverName, Age",
    ("apps", "ControllerRevision"): "Name!, Controller, Revision, Age",
    ("", "ResourceQuota"): "Name!, Request, Limit, Age",
    ("scheduling.k8s.io", "PriorityClass"): (
        "Name!, Value=integer, Global-Default=boolean, Age, PreemptionPolicy"
    ),
    ("node.k8s.io", "RuntimeClass"): "Name!, Handler, Age",
    ("storage.k8s.io", "VolumeAttachment"): "Name!, Attacher!, PV, Node, Attached=boolean, Age",
    ("discovery.k8s.io", "EndpointSlice"): "Name!, AddressType, Ports, Endpoints, Age",
    ("storage.k8s.io", "CSINode"): "Name!, Drivers=integer, Age",
    ("storage.k8s.io", "CSIDriver"): (
        "Name!, AttachRequired=boolean, PodInfoOnMount=boolean, StorageCapacity=boolean, "
        "TokenRequests, RequiresRepublish=boolean, Modes, Age"
    ),
    ("storage.k8s.io", "CSIStorageCapacity"): "Name!, StorageClassName, Capacity",
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): (
        "Name!, Validations=integer, ParamKind, Age"
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): (
        "Name!, Mutations=integer, ParamKind, Age"
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): (
        "Name!, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL"
    ),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): (
        "Name!, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age"
    ),
    ("autoscaling", "Scale"): "Name, Desired=integer, Available=integer, Age",
    ("resource.k8s.io", "DeviceClass"): _NAME_AGE,
    ("resource.k8s.io", "ResourceClaim"): "Name!, State, Age",
    ("resource.k8s.io", "ResourceClaimTemplate"): _NAME_AGE,
    ("resource.k8s.io", "ResourceSlice"): "Name!, Node, Driver, Pool, Age",
    ("networking.k8s.io", "ServiceCIDR"): "Name!, CIDRs, Age",
    ("networking.k8s.io", "IPAddress"): "Name!, ParentRef",
    ("storagemigration.k8s.io", "StorageVersionMigration"): "Name, Resource",
    ("apiregistration.k8s.io", "APIService"): "Name!, Service, Available, Age",
}

#: events.k8s.io events are kept as core events and print alike.
COLUMNS["events.k8s.io", "Event"] = COLUMNS["", "Event"]

#: Columns described by the documentation of a metadata field.
_DOCUMENTED: Final = {
    "Name": "name",
    "Age": "creationTimestamp",
    "Created At": "creationTimestamp",
}


@lru_cache(maxsize=1)
def metadata_docs() -> dict[str, str]:
    """The documentation of the metadata fields that columns show."""
    texts = schema.descriptions().get(schema.OBJECT_META, {})
    return {field: texts.get(field, "") for field in set(_DOCUMENTED.values())}


@lru_cache(maxsize=256)
def builtin_columns(group: str, kind: str) -> tuple[Column, ...]:
    """The column definitions of a kind; those of the default printer for one without its own."""
    text = COLUMNS.get((group, kind), DEFAULT)
    return tuple(_column(part, kind) for part in text.split(", "))


def _column(text: str, kind: str) -> Column:
    priority = int(text.startswith("+"))
    name, _, column_type = text.removeprefix("+").partition("=")
    column_format = "name" if name.endswith("!") else ""
    name = name.removesuffix("!")
    documented = _DOCUMENTED.get(name)
    description = metadata_docs()[documented] if documented else f"{name} of the {kind}"
    return {
        "name": name,
        "type": column_type or "string",
        "format": column_format,
        "description": description,
        "priority": priority,
    }
