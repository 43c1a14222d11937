"""Versions that are no longer served while their types still exist upstream.

A body of one of them can be read, and is refused for its version only.
"""

from __future__ import annotations

from typing import Final

#: apiVersion, the group that its internal types are of, kinds.
_TABLE: Final = """
admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io MutatingWebhookConfiguration
admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io ValidatingAdmissionPolicy
admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io ValidatingWebhookConfiguration
apiextensions.k8s.io/v1beta1 apiextensions.k8s.io CustomResourceDefinition
apiregistration.k8s.io/v1beta1 apiregistration.k8s.io APIService
apps/v1beta1 apps ControllerRevision Deployment StatefulSet
apps/v1beta2 apps ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
batch/v1beta1 batch CronJob
certificates.k8s.io/v1beta1 certificates.k8s.io CertificateSigningRequest
coordination.k8s.io/v1beta1 coordination.k8s.io Lease
discovery.k8s.io/v1beta1 discovery.k8s.io EndpointSlice
events.k8s.io/v1beta1 events.k8s.io Event
extensions/v1beta1 apps DaemonSet Deployment ReplicaSet
extensions/v1beta1 networking.k8s.io Ingress NetworkPolicy
flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta3 flowcontrol.apiserver.k8s.io FlowSchema PriorityLevelConfiguration
networking.k8s.io/v1beta1 networking.k8s.io Ingress IngressClass
node.k8s.io/v1beta1 node.k8s.io RuntimeClass
policy/v1beta1 policy PodDisruptionBudget
rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io ClusterRole ClusterRoleBinding
rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io Role RoleBinding
scheduling.k8s.io/v1beta1 scheduling.k8s.io PriorityClass
storage.k8s.io/v1beta1 storage.k8s.io CSIDriver CSINode CSIStorageCapacity
storage.k8s.io/v1beta1 storage.k8s.io StorageClass VolumeAttachment
"""


def _parse() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for line in _TABLE.split("\n"):
        api_version, group, *kinds = line.split() or ("", "")
        found.update({(api_version, kind): group for kind in kinds})
    return found


#: Internal group by apiVersion and kind.
RETIRED: Final = _parse()
