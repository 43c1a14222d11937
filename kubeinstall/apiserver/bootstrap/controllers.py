"""The default ClusterRoles of the controllers, `system:controller:NAME`, and who they are bound to.

Each controller of kube-controller-manager works as the service account of its name in kube-system.
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.bootstrap.rule import READ, events, rule

_FULL = "create delete get list patch update watch"
_APPROVED_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
_SIGNERS = (
    "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
    "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown"
)


def controller_roles() -> dict[str, list[Object]]:
    """Rules by controller name (without `system:controller:`)."""
    return {**_workloads(), **_network(), **_storage(), **_cluster(), **_nodes()}


def _workloads() -> dict[str, list[Object]]:
    owned_pods = rule("create delete list patch watch", "core", "pods")
    revisions = rule(_FULL, "apps", "controllerrevisions")
    return {
        "cronjob-controller": [
            rule(f"{READ} update", "batch", "cronjobs"),
            rule(_FULL, "batch", "jobs"),
            rule("update", "batch", "cronjobs/status"),
            rule("update", "batch", "cronjobs/finalizers"),
            rule("delete list watch", "core", "pods"),
            events(),
        ],
        "daemon-set-controller": [
            rule(READ, "apps extensions", "daemonsets"),
            rule("update", "apps extensions", "daemonsets/status"),
            rule("update", "apps extensions", "daemonsets/finalizers"),
            rule("list watch", "core", "nodes"),
            owned_pods,
            rule("create", "core", "pods/binding"),
            revisions,
            events(),
        ],
        "deployment-controller": [
            rule(f"{READ} update", "apps extensions", "deployments"),
            rule("update", "apps extensions", "deployments/status"),
            rule("update", "apps extensions", "deployments/finalizers"),
            rule(_FULL, "apps extensions", "replicasets"),
            rule(f"{READ} update", "core", "pods"),
            events(),
        ],
        "disruption-controller": [
            rule(READ, "apps extensions", "deployments"),
            rule(READ, "apps extensions", "replicasets"),
            rule(READ, "core", "replicationcontrollers"),
            rule(READ, "policy", "poddisruptionbudgets"),
            rule(READ, "apps", "statefulsets"),
            rule("update", "policy", "poddisruptionbudgets/status"),
            rule("patch update", "core", "pods/status"),
            rule("get", "*", "*/scale"),
            events(),
        ],
        "horizontal-pod-autoscaler": [
            rule(READ, "autoscaling", "horizontalpodautoscalers"),
            rule("update", "autoscaling", "horizontalpodautoscalers/status"),
            rule("get update", "*", "*/scale"),
            rule("list watch", "core", "pods"),
            rule("list watch", "metrics.k8s.io", "pods"),
            rule(READ, "custom.metrics.k8s.io", "*"),
            rule(READ, "external.metrics.k8s.io", "*"),
            events(),
        ],
        "job-controller": [
            rule(f"{READ} patch update", "batch", "jobs"),
            rule("update", "batch", "jobs/status"),
            rule("update", "batch", "jobs/finalizers"),
            owned_pods,
            events(),
        ],
        "replicaset-controller": [
            rule(f"{READ} update", "apps extensions", "replicasets"),
            rule("update", "apps extensions", "replicasets/status"),
            rule("update", "apps extensions", "replicasets/finalizers"),
            owned_pods,
            events(),
        ],
        "replication-controller": [
            rule(f"{READ} update", "core", "replicationcontrollers"),
            rule("update", "core", "replicationcontrollers/status"),
            rule("update", "core", "replicationcontrollers/finalizers"),
            owned_pods,
            events(),
        ],
        "statefulset-controller": [
            rule("list watch", "core", "pods"),
            rule(READ, "apps", "statefulsets"),
            rule("update", "apps", "statefulsets/status"),
            rule("update", "apps", "statefulsets/finalizers"),
            rule("create delete get patch update", "core", "pods"),
            revisions,
            rule(f"{READ} create", "core", "persistentvolumeclaims"),
            rule("delete update", "core", "persistentvolumeclaims"),
            rule("update", "core", "pods/finalizers"),
            events(),
        ],
        "ttl-after-finished-controller": [rule(f"{READ} delete", "batch", "jobs"), events()],
        "resource-claim-controller": [
            rule(READ, "core", "pods"),
            rule("update", "core", "pods/finalizers"),
            rule(f"{READ} create delete", "resource", "resourceclaims"),
            rule("patch update", "resource", "resourceclaims resourceclaims/status"),
            rule("patch update", "core", "pods/status"),
            events(),
            rule("patch update", "resource", "resourceclaims/binding"),
        ],
    }


def _network() -> dict[str, list[Object]]:
    slices = rule(f"{READ} create delete update", "discovery", "endpointslices")
    return {
        "endpoint-controller": [
            rule(READ, "core", "pods services"),
            rule(f"{READ} create delete update", "core", "endpoints"),
            rule("create", "core", "endpoints/restricted"),
            events(),
        ],
        "endpointslice-controller": [
            rule(READ, "core", "nodes pods services"),
            rule("update", "core", "services/finalizers"),
            slices,
            events(),
        ],
        "endpointslicemirroring-controller": [
            rule(READ, "core", "endpoints services"),
            rule("update", "core", "services/finalizers"),
            rule("update", "core", "endpoints/finalizers"),
            slices,
            events(),
        ],
        "route-controller": [
            rule("list watch", "core", "nodes"),
            rule("patch", "core", "nodes/status"),
            events(),
        ],
        "service-controller": [
            rule(READ, "core", "services"),
            rule("patch update", "core", "services/status"),
            rule("list watch", "core", "nodes"),
            events(),
        ],
        "service-cidrs-controller": [
            rule(f"{READ} patch update", "networking", "servicecidrs"),
            rule("patch update", "networking", "servicecidrs/finalizers"),
            rule("patch update", "networking", "servicecidrs/status"),
            rule(READ, "networking", "ipaddresses"),
            events(),
        ],
    }


def _storage() -> dict[str, list[Object]]:
    return {
        "attachdetach-controller": [
            rule("list watch", "core", "persistentvolumeclaims persistentvolumes"),
            rule(READ, "core", "nodes"),
            rule("patch update", "core", "nodes/status"),
            rule("list watch", "core", "pods"),
            events(),
            rule(f"{READ} create delete", "storage", "volumeattachments"),
            rule(READ, "storage", "csidrivers"),
            rule(READ, "storage", "csinodes"),
        ],
        "ephemeral-volume-controller": [
            rule(READ, "core", "pods"),
            rule("update", "core", "pods/finalizers"),
            rule(f"{READ} create", "core", "persistentvolumeclaims"),
            events(),
        ],
        "expand-controller": [
            rule(f"{READ} patch update", "core", "persistentvolumes"),
            rule("patch update", "core", "persistentvolumeclaims/status"),
            rule(READ, "core", "persistentvolumeclaims"),
            events(),
        ],
        "persistent-volume-binder": [
            rule(f"{READ} create delete update", "core", "persistentvolumes"),
            rule("update", "core", "persistentvolumes/status"),
            rule(f"{READ} update", "core", "persistentvolumeclaims"),
            rule("update", "core", "persistentvolumeclaims/status"),
            rule(f"{READ} create delete", "core", "pods"),
            rule(READ, "storage", "storageclasses"),
            rule("list watch", "core", "nodes"),
            events(),
            rule("watch", "core", "events"),
        ],
        "pv-protection-controller": [
            rule(f"{READ} update", "core", "persistentvolumes"),
            events(),
        ],
        "pvc-protection-controller": [
            rule(f"{READ} update", "core", "persistentvolumeclaims"),
            rule("update", "core", "persistentvolumeclaims/status"),
            rule(READ, "core", "pods"),
            events(),
        ],
        "selinux-warning-controller": [
            events(),
            rule(READ, "core", "persistentvolumes"),
            rule(READ, "core", "persistentvolumeclaims"),
            rule(READ, "core", "pods"),
            rule(READ, "storage", "csidrivers"),
        ],
        "volumeattributesclass-protection-controller": [
            rule(READ, "core", "persistentvolumeclaims"),
            rule(READ, "core", "persistentvolumes"),
            rule(f"{READ} update", "storage", "volumeattributesclasses"),
            events(),
        ],
    }


def _cluster() -> dict[str, list[Object]]:
    return {
        "certificate-controller": [
            rule(f"{READ} delete", "certificates", "certificatesigningrequests"),
            rule(
                "update",
                "certificates",
                "certificatesigningrequests/approval certificatesigningrequests/status",
            ),
            rule("approve", "certificates", "signers", _APPROVED_SIGNER),
            rule("sign", "certificates", "signers", _SIGNERS),
            rule("create", "authorization", "subjectaccessreviews"),
            events(),
        ],
        "clusterrole-aggregation-controller": [
            rule(f"{READ} escalate patch update", "rbac", "clusterroles")
        ],
        "generic-garbage-collector": [rule(f"{READ} delete patch update", "*", "*"), events()],
        "legacy-service-account-token-cleaner": [
            rule(
                "get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"
            ),
            rule("delete patch", "core", "secrets"),
        ],
        "namespace-controller": [
            rule(f"{READ} delete", "core", "namespaces"),
            rule("update", "core", "namespaces/finalize namespaces/status"),
            rule(f"{READ} delete deletecollection", "*", "*"),
        ],
        "resourcequota-controller": [
            rule("list watch", "*", "*"),
            rule("update", "core", "resourcequotas/status"),
            events(),
        ],
        "root-ca-cert-publisher": [rule("create update", "core", "configmaps"), events()],
        "service-account-controller": [rule("create", "core", "serviceaccounts"), events()],
        "validatingadmissionpolicy-status-controller": [
            rule(READ, "admissionregistration", "validatingadmissionpolicies"),
            rule("get patch update", "admissionregistration", "validatingadmissionpolicies/status"),
            events(),
        ],
    }


def _nodes() -> dict[str, list[Object]]:
    return {
        "device-taint-eviction-controller": [
            rule(f"{READ} delete", "core", "pods"),
            rule("patch update", "core", "pods/status"),
            rule(READ, "resource", "resourceclaims"),
            rule(READ, "resource", "resourceslices"),
            rule(READ, "resource", "deviceclasses"),
            events(),
        ],
        "node-controller": [
            rule(f"{READ} delete patch update", "core", "nodes"),
            rule("patch update", "core", "nodes/status"),
            rule("patch update", "core", "pods/status"),
            rule(f"{READ} delete", "core", "pods"),
            events(),
        ],
        "pod-garbage-collector": [
            rule("delete list watch", "core", "pods"),
            rule(READ, "core", "nodes"),
            rule("patch", "core", "pods/status"),
        ],
        "ttl-controller": [rule("list patch update watch", "core", "nodes"), events()],
    }
