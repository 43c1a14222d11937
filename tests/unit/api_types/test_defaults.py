"""Default values by rule, for what the recorded answers do not show."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kubeinstall.api import codec, defaults
from kubeinstall.api.defaults.images import pull_policy
from kubeinstall.api.types import Object

from .paths import find


def _defaulted(group: str, version: str, name: str, body: dict[str, Any]) -> Object:
    resource = find(group, version, name)
    obj = codec.decode(resource, orjson.dumps(body), "application/json").object
    defaults.apply(resource, obj)
    assert codec.normalize(resource, obj) == obj
    return obj


def _pod(spec: dict[str, Any]) -> Object:
    spec.setdefault("containers", [{"name": "c", "image": "a:1"}])
    found: Object = _defaulted("", "v1", "pods", {"spec": spec})["spec"]
    return found


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("localhost:5000/a/b", "Always"),
        ("localhost:5000/a/b:2", "IfNotPresent"),
        ("a@sha256:" + "0" * 64, "IfNotPresent"),
        ("a:latest@sha256:" + "0" * 64, "Always"),
        ("Upper/Case", "IfNotPresent"),
        ("0" * 64, "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_requests_follow_limits() -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    spec = _pod({"containers": [{"resources": {"limits": limits, "requests": {"cpu": "0.1"}}}]})
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_pod_level_requests() -> None:
    spec = _pod(
        {
            "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
            "containers": [
                {"resources": {"requests": {"cpu": "1"}}},
                {"resources": {"requests": {"cpu": "500m"}}},
            ],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
                {"resources": {"requests": {"cpu": "1"}}},
            ],
        }
    )
    assert spec["resources"]["requests"] == {"cpu": "1750m", "memory": "1Gi"}


def test_finer_than_a_thousandth_is_rounded_up() -> None:
    spec = _pod({"containers": [{"resources": {"requests": {"cpu": "100u"}}}]})
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1m"}


def test_probes_and_handlers() -> None:
    spec = _pod(
        {
            "containers": [
                {
                    "livenessProbe": {"httpGet": {"port": 80}},
                    "readinessProbe": {"grpc": {"port": 1}, "periodSeconds": 3},
                    "lifecycle": {"preStop": {"httpGet": {"port": "web"}}},
                    "ports": [{"containerPort": 80}],
                    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}],
                }
            ],
        }
    )
    container = spec["containers"][0]
    counts = {"timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}
    get = {"path": "/", "scheme": "HTTP"}
    assert (
        container["livenessProbe"] == {"httpGet": {"port": 80, **get}, "periodSeconds": 10} | counts
    )
    assert (
        container["readinessProbe"]
        == {
            "grpc": {"port": 1, "service": ""},
            "periodSeconds": 3,
        }
        | counts
    )
    assert container["lifecycle"] == {"preStop": {"httpGet": {"port": "web", **get}}}
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"


def test_volumes() -> None:
    volumes = [
        {"name": "e"},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "h", "hostPath": {"path": "/"}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "i", "image": {"reference": "a"}},
    ]
    made = {each.pop("name"): each for each in _pod({"volumes": volumes})["volumes"]}
    assert made == {
        "e": {"emptyDir": {}},
        "s": {"secret": {"secretName": "s", "defaultMode": 420}},
        "h": {"hostPath": {"path": "/", "type": ""}},
        "p": {
            "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
            }
        },
        "i": {"image": {"reference": "a", "pullPolicy": "Always"}},
    }


def test_host_network_ports_and_account_names() -> None:
    spec = _pod(
        {
            "hostNetwork": True,
            "serviceAccount": "old",
            "containers": [{"ports": [{"containerPort": 80}]}],
        }
    )
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "old"


def test_session_affinity_turned_off_leaves_nothing() -> None:
    config = {"clientIP": {"timeoutSeconds": 5}}
    spec = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config, "ports": [{"port": 1}]}
    on = _defaulted("", "v1", "services", {"spec": dict(spec)})
    assert on["spec"]["sessionAffinityConfig"] == config
    off = _defaulted("", "v1", "services", {"spec": {**spec, "sessionAffinity": "None"}})
    assert "sessionAffinityConfig" not in off["spec"]


def test_stateful_set() -> None:
    spec = _defaulted(
        "apps", "v1", "statefulsets", {"spec": {"volumeClaimTemplates": [{"spec": {}}]}}
    )["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert spec["volumeClaimTemplates"] == [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {},
            "spec": {"resources": {}, "volumeMode": "Filesystem"},
            "status": {"phase": "Pending"},
        }
    ]


def test_on_delete_strategies_stay_bare() -> None:
    body = {"spec": {"updateStrategy": {"type": "OnDelete"}}}
    for name in ("daemonsets", "statefulsets"):
        spec = _defaulted("apps", "v1", name, body)["spec"]
        assert spec["updateStrategy"] == {"type": "OnDelete"}


def test_job_backoff_by_index() -> None:
    spec = _defaulted("batch", "v1", "jobs", {"spec": {"backoffLimitPerIndex": 0}})["spec"]
    assert spec["backoffLimit"] == 2**31 - 1
    assert spec["completions"] == spec["parallelism"] == 1
    work_queue = _defaulted("batch", "v1", "jobs", {"spec": {"parallelism": 3}})["spec"]
    assert "completions" not in work_queue


def test_secret_texts_move_into_data() -> None:
    secret = _defaulted(
        "", "v1", "secrets", {"data": {"a": "eA=="}, "stringData": {"a": "y", "b": "é"}}
    )
    assert secret["data"] == {"a": "eQ==", "b": "w6k="}
    assert secret["type"] == "Opaque"
    assert "stringData" not in secret


def test_limit_range() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    spec = _defaulted("", "v1", "limitranges", {"spec": {"limits": [item]}})["spec"]
    assert spec["limits"][0]["default"] == {"cpu": "2"}
    assert spec["limits"][0]["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_autoscaler() -> None:
    spec = _defaulted(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        {"spec": {"behavior": {"scaleUp": {"selectPolicy": "Min"}}}},
    )["spec"]
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert spec["behavior"]["scaleUp"]["selectPolicy"] == "Min"
    assert len(spec["behavior"]["scaleUp"]["policies"]) == 2
    assert "stabilizationWindowSeconds" not in spec["behavior"]["scaleDown"]


@pytest.mark.parametrize(
    ("spec", "types"),
    [({}, ["Ingress"]), ({"egress": [{}]}, ["Ingress", "Egress"]), ({"egress": []}, ["Ingress"])],
)
def test_network_policy_types(spec: dict[str, Any], types: list[str]) -> None:
    made = _defaulted("networking.k8s.io", "v1", "networkpolicies", {"spec": spec})
    assert made["spec"]["policyTypes"] == types


def test_role_binding_groups() -> None:
    rbac = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]
    made = _defaulted(
        rbac,
        "v1",
        "rolebindings",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": subjects},
    )
    assert made["roleRef"]["apiGroup"] == rbac
    assert [each.get("apiGroup") for each in made["subjects"]] == [rbac, None]


def test_devices() -> None:
    requests = [
        {"name": "a", "exactly": {"deviceClassName": "x"}},
        {"name": "b", "firstAvailable": [{"name": "c", "allocationMode": "All"}]},
    ]
    claim = _defaulted(
        "resource.k8s.io", "v1", "resourceclaims", {"spec": {"devices": {"requests": requests}}}
    )
    made = claim["spec"]["devices"]["requests"]
    assert made[0]["exactly"] == {
        "deviceClassName": "x",
        "allocationMode": "ExactCount",
        "count": 1,
    }
    assert made[1]["firstAvailable"][0] == {
        "name": "c",
        "deviceClassName": "",
        "allocationMode": "All",
    }


def test_kinds_without_a_resource() -> None:
    request: Object = {}
    defaults.apply_kind("authentication.k8s.io", "v1", "TokenRequest", request)
    assert request["spec"] == {"expirationSeconds": 3600}
