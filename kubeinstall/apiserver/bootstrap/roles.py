"""The default ClusterRoles, apart from the controllers' own.

Facts: Kubernetes documentation, "Default roles and role bindings", and what a v1.36 API server
answers. The order of the rules is upstream's, so that aggregated roles come out equal.
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.bootstrap.rule import READ, READ_WRITE, WRITE, events, rule, urls

_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_HEALTH_URLS = "/healthz /livez /readyz"
_DISCOVERY_URLS = f"/api /api/* /apis /apis/* /openapi /openapi/* /version /version/ {_HEALTH_URLS}"

_VIEW_APPS = (
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
    "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
    "statefulsets/scale statefulsets/status"
)
_VIEW_EXTENSIONS = (
    "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
    "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
    "replicationcontrollers/scale"
)
_EDIT_APPS = (
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale "
    "statefulsets statefulsets/scale"
)
_EDIT_EXTENSIONS = (
    "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies "
    "replicasets replicasets/scale replicationcontrollers/scale"
)
_STREAMS = "pods/attach pods/exec pods/portforward pods/proxy"


def cluster_roles() -> dict[str, list[Object]]:
    """Rules by role name, for roles that are not aggregated."""
    return {
        "cluster-admin": [rule("*", "*", "*"), urls("*", "*")],
        "system:aggregate-to-admin": _admin(),
        "system:aggregate-to-edit": _edit(),
        "system:aggregate-to-view": _view(),
        "system:discovery": [urls("get", _DISCOVERY_URLS)],
        "system:monitoring": [
            urls(
                "get",
                f"/metrics /metrics/slis {_HEALTH_URLS} /livez/* /readyz/* /healthz/*",
            )
        ],
        "system:public-info-viewer": [urls("get", f"/version /version/ {_HEALTH_URLS}")],
        "system:service-account-issuer-discovery": [
            urls("get", "/.well-known/openid-configuration /openid/v1/jwks")
        ],
        "system:basic-user": [
            rule("create", "authorization", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", "authentication", "selfsubjectreviews"),
        ],
        "system:auth-delegator": _delegation(),
        "system:heapster": [
            rule(READ, "core", "events namespaces nodes pods"),
            rule(READ, "extensions", "deployments"),
        ],
        "system:kube-aggregator": [rule(READ, "core", "endpoints services")],
        "system:kube-dns": [rule("list watch", "core", "endpoints services")],
        "system:persistent-volume-provisioner": _provisioner(),
        "system:volume-scheduler": [
            rule(f"{READ} patch update", "core", "persistentvolumes"),
            rule(READ, "storage", "storageclasses"),
            rule(f"{READ} patch update", "core", "persistentvolumeclaims"),
        ],
        "system:kubelet-api-admin": [
            rule(READ, "core", "nodes"),
            rule("proxy", "core", "nodes"),
            rule(
                "*",
                "core",
                "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy "
                "nodes/stats",
            ),
        ],
        "system:node": node_rules(),
        "system:node-bootstrapper": [
            rule(f"create {READ}", "certificates", "certificatesigningrequests")
        ],
        "system:node-problem-detector": [
            rule("get", "core", "nodes"),
            rule("patch", "core", "nodes/status"),
            events(),
        ],
        "system:node-proxier": [
            rule("list watch", "core", "endpoints services"),
            rule(READ, "core", "nodes"),
            events(),
            rule("list watch", "discovery", "endpointslices"),
            rule("list watch", "networking", "servicecidrs"),
        ],
        "system:kube-controller-manager": _controller_manager(),
        "system:kube-scheduler": _scheduler(),
        **_certificate_roles(),
    }


def aggregated_roles() -> dict[str, tuple[str, str]]:
    """Role name → (what is aggregated into it, what it is aggregated to or "")."""
    return {"admin": ("admin", ""), "edit": ("edit", "admin"), "view": ("view", "edit")}


def role_labels(name: str) -> dict[str, str]:
    """Labels of a default role beyond the one that marks it as such."""
    if name in aggregated_roles():
        target = aggregated_roles()[name][1]
        return {f"{_AGGREGATE}{target}": "true"} if target else {}
    prefix = "system:aggregate-to-"
    return {f"{_AGGREGATE}{name.removeprefix(prefix)}": "true"} if name.startswith(prefix) else {}


def aggregation_rule(name: str) -> Object:
    """The `aggregationRule` of an aggregated role."""
    return {"clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]}


def _admin() -> list[Object]:
    return [
        rule("create", "authorization", "localsubjectaccessreviews"),
        rule(READ_WRITE, "rbac", "roles rolebindings"),
    ]


def _edit() -> list[Object]:
    return [
        rule(READ, "core", f"{_STREAMS} secrets services/proxy"),
        rule("impersonate", "core", "serviceaccounts"),
        rule(WRITE, "core", f"pods {_STREAMS}"),
        rule("create", "core", "pods/eviction"),
        rule(
            WRITE,
            "core",
            "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
            "secrets serviceaccounts services services/proxy",
        ),
        rule("create", "core", "serviceaccounts/token"),
        rule(WRITE, "core events", "events"),
        rule(WRITE, "apps", _EDIT_APPS),
        rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
        rule(WRITE, "batch", "jobs cronjobs"),
        rule(WRITE, "extensions", _EDIT_EXTENSIONS),
        rule(WRITE, "policy", "poddisruptionbudgets"),
        rule(WRITE, "networking", "networkpolicies ingresses"),
        rule(READ_WRITE, "coordination", "leases"),
        rule(WRITE, "resource", "resourceclaims resourceclaimtemplates"),
    ]


def _view() -> list[Object]:
    return [
        rule(
            READ,
            "core",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
            "services/status",
        ),
        rule(
            READ,
            "core",
            "bindings limitranges namespaces/status pods/log pods/status "
            "replicationcontrollers/status resourcequotas resourcequotas/status",
        ),
        rule(READ, "core", "namespaces"),
        rule(READ, "core events", "events"),
        rule(READ, "discovery", "endpointslices"),
        rule(READ, "apps", _VIEW_APPS),
        rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        rule(READ, "extensions", _VIEW_EXTENSIONS),
        rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        rule(READ, "networking", "ingresses ingresses/status networkpolicies"),
        rule(READ, "resource", "resourceclaims resourceclaims/status resourceclaimtemplates"),
    ]


def _delegation() -> list[Object]:
    return [
        rule("create", "authentication", "tokenreviews"),
        rule("create", "authorization", "subjectaccessreviews"),
    ]


def _provisioner() -> list[Object]:
    return [
        rule(f"{READ} create delete", "core", "persistentvolumes"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule(READ, "storage", "storageclasses"),
        rule("watch", "core", "events"),
        events(),
    ]


def _leases(name: str) -> list[Object]:
    return [
        rule("create", "coordination", "leases"),
        rule("get update", "coordination", "leases", name),
    ]


def _controller_manager() -> list[Object]:
    return [
        events(),
        *_leases("kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"),
        rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"),
        *_delegation(),
        rule("list watch", "*", "*"),
        rule("create", "core", "serviceaccounts/token"),
    ]


def _scheduler() -> list[Object]:
    return [
        events(),
        *_leases("kube-scheduler"),
        rule(READ, "core", "nodes"),
        rule(f"{READ} delete", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "apps", "statefulsets"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        *_delegation(),
        rule(READ, "storage", "csinodes"),
        rule(READ, "core", "namespaces"),
        rule(READ, "storage", "csidrivers"),
        rule(READ, "storage", "csistoragecapacities"),
        rule(READ, "storage", "volumeattachments"),
        rule(READ, "resource", "deviceclasses"),
        rule(f"{READ} patch update", "resource", "resourceclaims"),
        rule(f"{READ} patch update", "resource", "resourceclaims/status"),
        rule(f"{READ} patch update", "core", "pods/finalizers"),
        rule(READ, "resource", "resourceslices"),
        rule("patch update", "resource", "resourceclaims/binding"),
    ]


def _certificate_roles() -> dict[str, list[Object]]:
    prefix = "system:certificates.k8s.io:"
    requests = f"{prefix}certificatesigningrequests:"
    roles = {
        f"{requests}{kind}": [rule("create", "certificates", f"certificatesigningrequests/{kind}")]
        for kind in ("nodeclient", "selfnodeclient")
    }
    for signer in (
        "legacy-unknown",
        "kubelet-serving",
        "kube-apiserver-client",
        "kube-apiserver-client-kubelet",
    ):
        roles[f"{prefix}{signer}-approver"] = [
            rule("approve", "certificates", "signers", f"kubernetes.io/{signer}")
        ]
    return roles


def node_rules() -> list[Object]:
    """What kubelets may do at most; the Node authorizer narrows it down to what they need."""
    return [
        rule("create", "authentication", "tokenreviews"),
        rule("create", "authorization", "localsubjectaccessreviews subjectaccessreviews"),
        rule(READ, "core", "services"),
        rule(f"create {READ}", "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "nodes"),
        events(),
        rule(READ, "core", "pods"),
        rule("create delete", "core", "pods"),
        rule("patch update", "core", "pods/status"),
        rule("create", "core", "pods/eviction"),
        rule(READ, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes"),
        rule("get", "core", "endpoints"),
        rule(f"create {READ}", "certificates", "certificatesigningrequests"),
        rule("create delete get patch update", "coordination", "leases"),
        rule("get", "storage", "volumeattachments"),
        rule("create", "core", "serviceaccounts/token"),
        rule("get", "core", "serviceaccounts"),
        rule("get patch update", "core", "persistentvolumeclaims/status"),
        rule(READ, "storage", "csidrivers"),
        rule("create delete get patch update", "storage", "csinodes"),
        rule(READ, "node", "runtimeclasses"),
        rule("get", "resource", "resourceclaims"),
        rule("deletecollection", "resource", "resourceslices"),
        rule("create delete get list patch update watch", "resource", "resourceslices"),
    ]
