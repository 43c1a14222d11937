"""What creates and updates keep, clear and count."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeinstall.api import codec, resources, strategy
from kubeinstall.api.strategy.pods import qos_class
from kubeinstall.api.types import Object

from .paths import find


def _made(group: str, version: str, name: str, obj: dict[str, Any]) -> Object:
    resource = find(group, version, name)
    made = codec.normalize(resource, obj)
    made["metadata"].setdefault("uid", "u")
    strategy.prepare_create(resource, made)
    assert codec.normalize(resource, made) == made
    return made


def _updated(
    group: str, version: str, name: str, old: Object, change: Object, subresource: str = ""
) -> Object:
    resource = find(group, version, name)
    new, before = copy.deepcopy(old), copy.deepcopy(old)
    for field, value in change.items():
        new[field] = {**new.get(field, {}), **value} if isinstance(value, dict) else value
    new = codec.normalize(resource, new)
    strategy.prepare_update(resource, new, old, subresource)
    assert old == before
    assert codec.normalize(resource, new) == new
    return new


_DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "d", "labels": {"a": "b"}, "generation": 9, "deletionTimestamp": None},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
    "status": {"replicas": 5},
}


def _deployment() -> Object:
    return _made("apps", "v1", "deployments", copy.deepcopy(_DEPLOYMENT))


def test_create_clears_status_and_counts_from_one() -> None:
    made = _deployment()
    assert made["status"] == {}
    assert made["metadata"]["generation"] == 1


def test_update_counts_changes_of_the_spec() -> None:
    old = _deployment()
    old["status"] = {"replicas": 1}
    change = {"spec": {"replicas": 2}, "status": {"replicas": 7}, "metadata": {"generation": 40}}
    new = _updated("apps", "v1", "deployments", old, change)
    assert new["metadata"]["generation"] == 2
    assert new["status"] == {"replicas": 1}
    same = _updated("apps", "v1", "deployments", old, {"metadata": {"generation": 40}})
    assert same["metadata"]["generation"] == 1
    noted = _updated("apps", "v1", "deployments", old, {"metadata": {"annotations": {"a": "b"}}})
    assert noted["metadata"]["generation"] == 2


def test_status_keeps_spec_and_labels() -> None:
    old = _deployment()
    change = {"spec": {"replicas": 2}, "status": {"replicas": 1}, "metadata": {"labels": {}}}
    new = _updated("apps", "v1", "deployments", old, change, "status")
    assert new["spec"] == old["spec"]
    assert new["status"] == {"replicas": 1}
    assert new["metadata"]["labels"] == {"a": "b"}
    assert new["metadata"]["generation"] == 1


def test_identity_survives_updates() -> None:
    old = _made("", "v1", "configmaps", {"metadata": {"name": "a", "uid": "x"}})
    old["metadata"] |= {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "deletionGracePeriodSeconds": 0,
    }
    resource = find("", "v1", "configmaps")
    new: Object = {
        "metadata": {"name": "a", "creationTimestamp": "2030-01-01T00:00:00Z"},
        "data": {"k": "v"},
    }
    strategy.prepare_update(resource, new, old)
    assert new["metadata"] == old["metadata"]


def test_daemon_set_template_generation() -> None:
    key = "deprecated.daemonset.template.generation"
    old = _made("apps", "v1", "daemonsets", copy.deepcopy(_DEPLOYMENT))
    assert old["metadata"]["annotations"] == {key: "1"}
    assert old["status"]["numberReady"] == 0
    slower = _updated("apps", "v1", "daemonsets", old, {"spec": {"minReadySeconds": 3}})
    assert slower["metadata"]["annotations"] == {key: "1"}
    assert slower["metadata"]["generation"] == 2
    template = copy.deepcopy(old["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "j"
    other = _updated("apps", "v1", "daemonsets", old, {"spec": {"template": template}})
    assert other["metadata"]["annotations"] == {key: "2"}


def test_job_selector_by_uid() -> None:
    made = _made("batch", "v1", "jobs", {"metadata": {"name": "j", "uid": "u1"}, "spec": {}})
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/controller-uid"] == labels["controller-uid"] == "u1"
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}
    manual = _made("batch", "v1", "jobs", {"metadata": {}, "spec": {"manualSelector": True}})
    assert "selector" not in manual["spec"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{}]}, "BestEffort"),
        ({"containers": [{"resources": {"requests": {"cpu": "0"}}}]}, "BestEffort"),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}}}]}, "Burstable"),
        (
            {
                "containers": [
                    {
                        "resources": {
                            "limits": {"cpu": "1", "memory": "1Gi"},
                            "requests": {"cpu": "1000m", "memory": "1024Mi"},
                        }
                    }
                ]
            },
            "Guaranteed",
        ),
        (
            {
                "resources": {
                    "limits": {"cpu": "1", "memory": "1Gi"},
                    "requests": {"cpu": "1", "memory": "1Gi"},
                },
                "containers": [{}],
            },
            "Guaranteed",
        ),
    ],
)
def test_quality_of_service(spec: dict[str, Any], expected: str) -> None:
    assert qos_class(spec) == expected


def _pod() -> Object:
    containers = [{"name": "c", "image": "i"}]
    spec = {"containers": containers, "schedulingGates": [{"name": "g"}]}
    return _made("", "v1", "pods", {"metadata": {"name": "p"}, "spec": spec})


def test_gated_pod() -> None:
    pod = _pod()
    assert pod["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert pod["metadata"]["generation"] == 1


def test_pod_subresources_change_only_their_part() -> None:
    old = _pod()
    spec = copy.deepcopy(old["spec"])
    spec["nodeName"] = "n"
    spec["containers"][0] |= {"image": "other", "resources": {"requests": {"cpu": "1"}}}
    spec["ephemeralContainers"] = [{"name": "e", "image": "i"}]
    resized = _updated("", "v1", "pods", old, {"spec": spec}, "resize")
    assert resized["spec"]["containers"][0]["image"] == "i"
    assert resized["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert "nodeName" not in resized["spec"]
    assert resized["metadata"]["generation"] == 2
    debugged = _updated("", "v1", "pods", old, {"spec": spec}, "ephemeralcontainers")
    assert debugged["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    assert debugged["spec"]["containers"] == old["spec"]["containers"]
    reported = _updated(
        "", "v1", "pods", old, {"spec": spec, "status": {"phase": "Running"}}, "status"
    )
    assert reported["spec"] == old["spec"]
    assert reported["status"]["phase"] == "Running"


def test_apparmor_annotations_become_fields() -> None:
    prefix = "container.apparmor.security.beta.kubernetes.io/"
    annotations = {f"{prefix}a": "runtime/default", f"{prefix}b": "localhost/p", f"{prefix}c": "?"}
    spec = {
        "containers": [{"name": name} for name in "abc"],
        "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
    }
    pod = _made("", "v1", "pods", {"metadata": {"annotations": annotations}, "spec": spec})
    profiles = [one.get("securityContext") for one in pod["spec"]["containers"]]
    localhost = {"type": "Localhost", "localhostProfile": "p"}
    assert profiles == [None, {"appArmorProfile": localhost}, None]


def test_kubelets_cannot_forget_generations() -> None:
    old = _pod()
    old["status"] |= {"observedGeneration": 2}
    old["status"]["conditions"][0]["observedGeneration"] = 3
    condition = {"type": "PodScheduled", "status": "True"}
    resource = find("", "v1", "pods")
    new = codec.normalize(resource, old | {"status": {"conditions": [condition]}})
    strategy.prepare_update(resource, new, old, "status")
    assert new["status"]["observedGeneration"] == 2
    assert new["status"]["conditions"][0]["observedGeneration"] == 3
    assert new["status"]["qosClass"] == "BestEffort"


def test_resize_leaves_other_containers_to_validation() -> None:
    old = _pod()
    more = [*old["spec"]["containers"], {"name": "d", "image": "i"}]
    resized = _updated("", "v1", "pods", old, {"spec": {"containers": more}}, "resize")
    assert len(resized["spec"]["containers"]) == 2


def test_match_label_keys_become_requirements() -> None:
    term = {"labelSelector": {}, "matchLabelKeys": ["a", "z"], "topologyKey": "t"}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    spec = {
        "containers": [{"name": "c"}],
        "affinity": {"podAntiAffinity": {required: [term]}},
    }
    pod = _made("", "v1", "pods", {"metadata": {"labels": {"a": "1"}}, "spec": spec})
    made = pod["spec"]["affinity"]["podAntiAffinity"][required][0]
    assert made["labelSelector"] == {
        "matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]
    }


def _service(**spec: Any) -> Object:
    made = _made("", "v1", "services", {"metadata": {}, "spec": spec})
    assert made["status"] == {"loadBalancer": {}}
    return made


def test_service_update_keeps_what_was_allocated() -> None:
    ports = [{"name": "a", "port": 80, "nodePort": 30080}]
    old = _service(type="NodePort", clusterIP="10.0.0.1", ports=ports)
    assert old["spec"]["clusterIPs"] == ["10.0.0.1"]
    new: Object = {
        "metadata": {},
        "spec": {"type": "NodePort", "ports": [{"name": "a", "port": 81, "protocol": "TCP"}]},
    }
    strategy.prepare_update(find("", "v1", "services"), new, old)
    assert new["spec"]["clusterIPs"] == ["10.0.0.1"]
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    plain = _updated("", "v1", "services", old, {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in plain["spec"]
    outside = _updated(
        "", "v1", "services", old, {"spec": {"type": "ExternalName", "externalName": "x"}}
    )
    assert "clusterIP" not in outside["spec"]


def test_namespace_finalizers() -> None:
    old = _made("", "v1", "namespaces", {"metadata": {"name": "n"}})
    assert old["spec"] == {"finalizers": ["kubernetes"]}
    kept = _updated("", "v1", "namespaces", old, {"spec": {"finalizers": []}})
    assert kept["spec"] == {"finalizers": ["kubernetes"]}
    done = _updated("", "v1", "namespaces", old, {"spec": {"finalizers": ["x"]}}, "finalize")
    assert done["spec"] == {"finalizers": ["x"]}


def test_volume_phases_are_timed() -> None:
    old = _made("", "v1", "persistentvolumes", {"metadata": {}})
    old["status"]["lastPhaseTransitionTime"] = "2020-01-01T00:00:00Z"
    bound = _updated("", "v1", "persistentvolumes", old, {"status": {"phase": "Bound"}}, "status")
    assert bound["status"]["lastPhaseTransitionTime"] > "2026"
    same = _updated("", "v1", "persistentvolumes", old, {"status": {"phase": "Pending"}}, "status")
    assert same["status"]["lastPhaseTransitionTime"] == "2020-01-01T00:00:00Z"


def test_claim_data_sources_agree() -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "s"}
    made = _made(
        "", "v1", "persistentvolumeclaims", {"metadata": {}, "spec": {"dataSource": source}}
    )
    assert made["spec"]["dataSourceRef"] == {"apiGroup": None, **source}


def test_signing_requests_cannot_be_approved_by_creation() -> None:
    body = {
        "metadata": {},
        "spec": {"username": "mallory", "request": "eA==", "signerName": "s"},
        "status": {"conditions": [{"type": "Approved", "status": "True"}]},
    }
    name = "certificatesigningrequests"
    old = _made("certificates.k8s.io", "v1", name, body)
    assert old["status"] == {}
    assert "username" not in old["spec"]
    approved = _updated(
        "certificates.k8s.io",
        "v1",
        name,
        old,
        {
            "status": {
                "conditions": [{"type": "Approved", "status": "True"}],
                "certificate": "eA==",
            }
        },
        "approval",
    )
    assert "certificate" not in approved["status"]
    assert approved["status"]["conditions"][0]["lastTransitionTime"] > "2026"
    issued = _updated(
        "certificates.k8s.io", "v1", name, approved, {"status": {"certificate": "eA=="}}, "status"
    )
    forged = copy.deepcopy(approved["status"]["conditions"])
    forged[0]["message"] = "mine"
    kept = _updated(
        "certificates.k8s.io", "v1", name, approved, {"status": {"conditions": forged}}, "status"
    )
    assert kept["status"] == approved["status"]
    assert issued["status"]["conditions"] == approved["status"]["conditions"]
    assert issued["status"]["certificate"] == "eA=="


def test_definition_records_stored_versions() -> None:
    group = "apiextensions.k8s.io"
    body = {
        "metadata": {},
        "spec": {"names": {"kind": "Y"}, "versions": [{"name": "v1", "storage": True}]},
    }
    old = _made(group, "v1", "customresourcedefinitions", body)
    assert old["status"]["storedVersions"] == ["v1"]
    versions = [{"name": "v2", "storage": True, "served": True}]
    new = _updated(group, "v1", "customresourcedefinitions", old, {"spec": {"versions": versions}})
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert new["metadata"]["generation"] == 2


def test_local_api_services_are_available() -> None:
    made = _made("apiregistration.k8s.io", "v1", "apiservices", {"metadata": {}, "spec": {}})
    assert made["status"]["conditions"][0]["reason"] == "Local"


def test_slices_count_everything_but_names() -> None:
    old = _made("discovery.k8s.io", "v1", "endpointslices", {"metadata": {}, "ports": []})
    noted = _updated(
        "discovery.k8s.io", "v1", "endpointslices", old, {"metadata": {"annotations": {"a": "b"}}}
    )
    assert noted["metadata"]["generation"] == 1
    more = _updated("discovery.k8s.io", "v1", "endpointslices", old, {"addressType": "IPv6"})
    assert more["metadata"]["generation"] == 2


_THING = resources.Resource(
    "x.example.com",
    "v1",
    "things",
    "thing",
    "Thing",
    "ThingList",
    True,
    subresources=(resources.Subresource("status", "Thing", ("get", "patch", "update")),),
    builtin=False,
)


def test_custom_resources() -> None:
    obj: Object = {"metadata": {"name": "t"}, "spec": {"a": 1}, "status": {"b": 1}}
    strategy.prepare_create(_THING, obj)
    assert "status" not in obj
    assert obj["metadata"]["generation"] == 1
    changed: Object = {"metadata": {"name": "t"}, "spec": {"a": 2}, "status": {"b": 1}}
    strategy.prepare_update(_THING, changed, obj)
    assert changed["metadata"]["generation"] == 2
    assert "status" not in changed
    reported: Object = {
        "metadata": {"name": "t", "labels": {"x": "y"}},
        "spec": {"a": 9},
        "status": {"b": 2},
    }
    strategy.prepare_update(_THING, reported, obj, "status")
    assert reported["spec"] == {"a": 1}
    assert reported["status"] == {"b": 2}
    assert reported["metadata"] == {"name": "t", "generation": 1}
