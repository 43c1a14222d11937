"""Objects of every kind that can be written through the API alone."""

from __future__ import annotations

from typing import Any, NamedTuple

POD = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
JOB = {"template": {"spec": {"restartPolicy": "Never", **POD}}}
WORKLOAD = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
CONDITION = {
    "type": "StatusUpdate",
    "status": "True",
    "reason": "E2E",
    "message": "m",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
CONDITIONS = {"conditions": [CONDITION]}
DEPLOYMENTS = {
    "resourceRules": [
        {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["deployments"],
        }
    ]
}
RULES = [
    {
        "subjects": [{"kind": "User", "user": {"name": "nobody-at-all"}}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
]
HOOK = {
    "name": "a.b.c",
    "clientConfig": {"url": "https://example.com/y"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [],
}
SCALED = {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}
CLAIM = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
MUTATION = {
    "patchType": "ApplyConfiguration",
    "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 3}}"},
}
VOLUME = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "hostPath": {"path": "/tmp/x"},
}
EVENT = {
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "regarding": {"namespace": "NS"},
    "note": "n",
    "type": "Normal",
    "reason": "Test",
    "action": "Do",
    "reportingController": "test-controller",
    "reportingInstance": "test-node",
}


class Case(NamedTuple):
    """One kind: `body` without kind and name; `N` in it is the object's number."""

    group_version: str
    plural: str
    kind: str
    body: dict[str, Any]
    namespaced: bool = True
    status: dict[str, Any] | None = None
    name: str = ""
    #: Whether metadata goes with the status.
    annotates: bool = True


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


FLOW, ADMISSION, NETWORK = (
    "flowcontrol.apiserver.k8s.io/v1",
    "admissionregistration.k8s.io/v1",
    "networking.k8s.io/v1",
)
STORAGE, DRA, APPS = "storage.k8s.io/v1", "resource.k8s.io/v1", "apps/v1"
CASES = (
    Case(
        FLOW,
        "flowschemas",
        "FlowSchema",
        spec(
            matchingPrecedence=10000,
            priorityLevelConfiguration={"name": "global-default"},
            rules=RULES,
        ),
        False,
        CONDITIONS,
        annotates=False,
    ),
    Case(
        FLOW,
        "prioritylevelconfigurations",
        "PriorityLevelConfiguration",
        spec(
            type="Limited",
            limited={"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
        ),
        False,
        CONDITIONS,
        annotates=False,
    ),
    Case(
        ADMISSION,
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        spec(
            matchConstraints=DEPLOYMENTS,
            validations=[{"expression": "object.spec.replicas <= 100"}],
        ),
        False,
        CONDITIONS,
        annotates=False,
    ),
    Case(
        ADMISSION,
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        spec(policyName="p.example.com", validationActions=["Deny"]),
        False,
    ),
    Case(
        ADMISSION,
        "mutatingadmissionpolicies",
        "MutatingAdmissionPolicy",
        spec(matchConstraints=DEPLOYMENTS, reinvocationPolicy="Never", mutations=[MUTATION]),
        False,
    ),
    Case(
        ADMISSION,
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        spec(policyName="p.example.com"),
        False,
    ),
    Case(
        ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        {"webhooks": [HOOK]},
        False,
    ),
    Case(
        ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        {"webhooks": [HOOK]},
        False,
    ),
    Case(
        "discovery.k8s.io/v1",
        "endpointslices",
        "EndpointSlice",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": []},
    ),
    Case(
        NETWORK,
        "ingresses",
        "Ingress",
        spec(defaultBackend={"service": {"name": "d", "port": {"number": 80}}}),
        status={"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}},
    ),
    Case(
        NETWORK, "ingressclasses", "IngressClass", spec(controller="example.com/controller"), False
    ),
    Case(
        NETWORK, "networkpolicies", "NetworkPolicy", spec(podSelector={"matchLabels": {"a": "b"}})
    ),
    Case(
        NETWORK,
        "servicecidrs",
        "ServiceCIDR",
        spec(cidrs=["10.19N.0.0/24"]),
        False,
        CONDITIONS,
        "operations-N",
    ),
    Case(
        NETWORK,
        "ipaddresses",
        "IPAddress",
        spec(parentRef={"resource": "services", "namespace": "x", "name": "x"}),
        False,
        None,
        "192.168.15.N",
    ),
    Case(
        "coordination.k8s.io/v1",
        "leases",
        "Lease",
        spec(holderIdentity="h", leaseDurationSeconds=30, leaseTransitions=0),
    ),
    Case("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", {"handler": "h"}, False),
    Case("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", {"value": 5}, False),
    Case("v1", "podtemplates", "PodTemplate", {"template": TEMPLATE}),
    Case(APPS, "controllerrevisions", "ControllerRevision", {"revision": 1, "data": {"x": 1}}),
    Case(
        "v1",
        "events",
        "Event",
        {"involvedObject": {"namespace": "NS"}, "message": "m", "reason": "r", "type": "Normal"},
    ),
    Case("events.k8s.io/v1", "events", "Event", EVENT),
    Case(STORAGE, "csidrivers", "CSIDriver", spec(attachRequired=True), False),
    Case(STORAGE, "csinodes", "CSINode", spec(drivers=[{"name": "d", "nodeID": "n"}]), False),
    Case(
        STORAGE,
        "storageclasses",
        "StorageClass",
        {"provisioner": "fake", "parameters": {"a": "b"}},
        False,
    ),
    Case(
        STORAGE,
        "volumeattributesclasses",
        "VolumeAttributesClass",
        {"driverName": "fake", "parameters": {"a": "b"}},
        False,
    ),
    Case(
        STORAGE,
        "volumeattachments",
        "VolumeAttachment",
        spec(attacher="e2e", nodeName="n", source={"persistentVolumeName": "pv"}),
        False,
        {"attached": True},
        annotates=False,
    ),
    Case(
        STORAGE,
        "csistoragecapacities",
        "CSIStorageCapacity",
        {"storageClassName": "e", "nodeTopology": {"matchLabels": {"a": "b"}}},
    ),
    Case(
        "policy/v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        spec(minAvailable=1, selector={"matchLabels": {"a": "b"}}),
        status={"disruptedPods": {"x": "2026-01-01T00:00:00Z"}},
    ),
    Case(
        "v1",
        "resourcequotas",
        "ResourceQuota",
        spec(hard={"services": "10"}),
        status={"hard": {"services": "10"}},
    ),
    Case("v1", "limitranges", "LimitRange", spec(limits=[{"type": "Pod", "max": {"cpu": "500m"}}])),
    Case(
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        {"spec": VOLUME},
        False,
        {"phase": "Failed", "message": "m"},
    ),
    Case(
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        spec(accessModes=["ReadWriteOnce"], resources={"requests": {"storage": "1Gi"}}),
        status={"conditions": [{"type": "Patched", "status": "True"}]},
    ),
    Case(APPS, "deployments", "Deployment", {"spec": WORKLOAD}, status=CONDITIONS),
    Case(APPS, "replicasets", "ReplicaSet", {"spec": WORKLOAD}, status=CONDITIONS),
    Case(
        APPS,
        "statefulsets",
        "StatefulSet",
        {"spec": {**WORKLOAD, "serviceName": "x"}},
        status=CONDITIONS,
    ),
    Case(APPS, "daemonsets", "DaemonSet", {"spec": WORKLOAD}, status=CONDITIONS),
    Case(
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        spec(replicas=1, selector={"a": "b"}, template=TEMPLATE),
        status=CONDITIONS,
    ),
    Case(
        "batch/v1",
        "jobs",
        "Job",
        {"spec": {**JOB, "suspend": True}},
        status={"conditions": [{"type": "Custom", "status": "True"}]},
    ),
    Case(
        "batch/v1",
        "cronjobs",
        "CronJob",
        spec(schedule="*/1 * * * *", suspend=True, jobTemplate={"spec": JOB}),
        status={"lastScheduleTime": "2026-01-01T00:00:00Z"},
    ),
    Case(
        "autoscaling/v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        spec(scaleTargetRef=SCALED, maxReplicas=3),
        status={"currentReplicas": 1, "desiredReplicas": 1},
    ),
    Case(
        "autoscaling/v1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        spec(scaleTargetRef=SCALED, maxReplicas=3),
        status={"currentReplicas": 1, "desiredReplicas": 1},
    ),
    Case(
        "v1",
        "services",
        "Service",
        spec(ports=[{"port": 80}], type="LoadBalancer"),
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    ),
    Case(
        "v1",
        "endpoints",
        "Endpoints",
        {"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"port": 80}]}]},
    ),
    Case("v1", "secrets", "Secret", {"stringData": {"a": "b"}}),
    Case("v1", "configmaps", "ConfigMap", {"data": {"a": "b"}}),
    Case("v1", "serviceaccounts", "ServiceAccount", {}),
    Case("v1", "nodes", "Node", {}, False, CONDITIONS),
    Case("v1", "pods", "Pod", {"spec": POD}, status={"message": "m", "reason": "E2E"}),
    Case(
        DRA,
        "resourceclaims",
        "ResourceClaim",
        {"spec": CLAIM},
        status={"allocation": {"devices": {}}},
    ),
    Case(DRA, "resourceclaimtemplates", "ResourceClaimTemplate", spec(spec=CLAIM)),
    Case(DRA, "deviceclasses", "DeviceClass", spec(), False),
    Case(
        DRA,
        "resourceslices",
        "ResourceSlice",
        spec(
            driver="d.example.com",
            pool={"name": "pN", "generation": 1, "resourceSliceCount": 1},
            nodeName="n",
            devices=[],
        ),
        False,
    ),
    Case("rbac.authorization.k8s.io/v1", "roles", "Role", {"rules": []}),
    Case("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", {"rules": []}, False),
)
