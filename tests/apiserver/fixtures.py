"""The namespace `golden` as it was when the answers were recorded."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_POD_SPEC: Object = {"containers": [{"name": "c", "image": "img"}]}
_TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": _POD_SPEC}
_NS = "/namespaces/golden"

#: Path → object, in order of creation.
OBJECTS: list[tuple[str, Object]] = [
    ("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "golden"}}),
    (f"/api/v1{_NS}/serviceaccounts", {"kind": "ServiceAccount", "metadata": {"name": "default"}}),
    (
        f"/api/v1{_NS}/configmaps",
        {"kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"k": "v"}},
    ),
    (
        f"/apis/apps/v1{_NS}/deployments?fieldManager=setup",
        {
            "kind": "Deployment",
            "metadata": {"name": "base"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"a": "b"}},
                "template": _TEMPLATE,
            },
        },
    ),
    (
        f"/api/v1{_NS}/pods",
        {
            "kind": "Pod",
            "metadata": {"name": "base", "labels": {"k": "7"}},
            "spec": {
                "schedulerName": "none",
                "containers": [
                    {"name": "c", "image": "img", "resources": {"requests": {"cpu": "10m"}}}
                ],
            },
        },
    ),
    (
        f"/api/v1{_NS}/services",
        {
            "kind": "Service",
            "metadata": {"name": "base"},
            "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
        },
    ),
    (
        f"/api/v1{_NS}/secrets",
        {
            "kind": "Secret",
            "metadata": {"name": "frozen"},
            "immutable": True,
            "stringData": {"k": "v"},
        },
    ),
    (
        f"/apis/batch/v1{_NS}/jobs",
        {
            "kind": "Job",
            "metadata": {"name": "base"},
            "spec": {
                "suspend": True,
                "template": {"spec": {"restartPolicy": "Never", **_POD_SPEC}},
            },
        },
    ),
    (
        f"/apis/rbac.authorization.k8s.io/v1{_NS}/rolebindings",
        {
            "kind": "RoleBinding",
            "metadata": {"name": "base"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "edit",
            },
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"}],
        },
    ),
    (
        f"/apis/autoscaling/v2{_NS}/horizontalpodautoscalers",
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "base"},
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            },
        },
    ),
    (
        f"/api/v1{_NS}/events",
        {
            "kind": "Event",
            "metadata": {"name": "base"},
            "involvedObject": {"kind": "Pod", "name": "x", "namespace": "golden"},
            "reason": "R",
            "type": "Normal",
        },
    ),
]

DEPLOYMENT = f"/apis/apps/v1{_NS}/deployments/base"


def _condition(kind: str, reason: str, message: str) -> Object:
    now = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }


#: What the deployment controller had written by then.
DEPLOYMENT_STATUS: Object = {
    "metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}},
    "status": {
        "observedGeneration": 1,
        "terminatingReplicas": 0,
        "conditions": [
            _condition(
                "Available", "MinimumReplicasAvailable", "Deployment has minimum availability."
            ),
            _condition(
                "Progressing",
                "NewReplicaSetAvailable",
                'ReplicaSet "base-7b7747877b" has successfully progressed.',
            ),
        ],
    },
}
