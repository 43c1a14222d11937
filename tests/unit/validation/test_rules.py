"""Semantic validation: what is refused, at which field, in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeinstall.api import defaults, resources
from kubeinstall.api.types import Object
from kubeinstall.api.validation import validate_create, validate_update, warnings

POD: Object = {
    "metadata": {"name": "x", "namespace": "n"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
TEMPLATE: Object = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
WORKLOAD: Object = {
    "metadata": {"name": "x", "namespace": "n"},
    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
}
SERVICE: Object = {"metadata": {"name": "x", "namespace": "n"}, "spec": {"ports": [{"port": 80}]}}
NAMED: Object = {"metadata": {"name": "x", "namespace": "n"}}
PLAIN: dict[str, tuple[str, str, Object]] = {
    "pods": ("", "v1", POD),
    "services": ("", "v1", SERVICE),
    "deployments": ("apps", "v1", WORKLOAD),
    "daemonsets": ("apps", "v1", WORKLOAD),
    "statefulsets": ("apps", "v1", WORKLOAD),
    "configmaps": ("", "v1", NAMED),
    "secrets": ("", "v1", NAMED),
}


def resource_of(plural: str) -> resources.Resource:
    group, version, _ = PLAIN[plural]
    found = resources.find(group, version, plural)
    assert found is not None
    return found


def changed(plural: str, path: str, value: Any) -> Object:
    """The plain object of a kind with one field set, and defaulted."""
    obj = copy.deepcopy(PLAIN[plural][2])
    *parents, last = path.split(".")
    at: Any = obj
    for part in parents:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    at[int(last) if last.isdigit() else last] = value
    defaults.apply(resource_of(plural), obj)
    return obj


@pytest.mark.parametrize("plural", PLAIN)
def test_the_plain_object_of_each_kind_is_good(plural: str) -> None:
    assert validate_create(resource_of(plural), changed(plural, "metadata.name", "x")) == []


CONTAINER = "spec.containers.0"
CASES: list[tuple[str, str, Any, str]] = [
    (
        "pods",
        "metadata.labels",
        {"a b": "c"},
        'metadata.labels: Invalid value: "a b": name part must consist of',
    ),
    (
        "pods",
        "metadata.generateName",
        "Bad-",
        'metadata.generateName: Invalid value: "Bad-": a lowercase RFC 1123',
    ),
    (
        "pods",
        CONTAINER + ".ports",
        [{"containerPort": 70000}],
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        "pods",
        CONTAINER + ".ports",
        [{"containerPort": 1, "protocol": "ICMP"}],
        'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        "pods",
        CONTAINER + ".env",
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}],
        'fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope',
    ),
    (
        "pods",
        CONTAINER + ".env",
        [{"name": "A", "valueFrom": {}}],
        "must specify one of: `fieldRef`",
    ),
    (
        "pods",
        CONTAINER + ".resources",
        {"limits": {"memory": "-1"}},
        'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (
        "pods",
        CONTAINER + ".resources",
        {"requests": {"example.com/gpu": "1"}},
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
    ),
    (
        "pods",
        CONTAINER + ".imagePullPolicy",
        "Sometimes",
        'supported values: "Always", "IfNotPresent", "Never"',
    ),
    (
        "pods",
        CONTAINER + ".livenessProbe",
        {"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}},
        "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    (
        "pods",
        "spec.hostAliases",
        [{"ip": "x"}],
        'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP',
    ),
    (
        "pods",
        "spec.initContainers",
        [{"name": "i", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}],
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without",
    ),
    (
        "pods",
        "spec.volumes",
        [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}],
        "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
    ),
    (
        "pods",
        "spec.topologySpreadConstraints",
        [{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}],
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
    ),
    (
        "services",
        "spec.ports.0.port",
        0,
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535",
    ),
    ("services", "spec.externalName", "x", ""),
    (
        "services",
        "spec.ports.0.nodePort",
        30000,
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        "deployments",
        "spec.strategy",
        {"type": "Blue"},
        'spec.strategy: Unsupported value: {"type":"Blue"',
    ),
    (
        "deployments",
        "spec.strategy",
        {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    (
        "daemonsets",
        "spec.updateStrategy",
        {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        "maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ),
    ("statefulsets", "spec.podManagementPolicy", "X", "must be 'OrderedReady' or 'Parallel'"),
    ("secrets", "type", "kubernetes.io/tls", "data[tls.crt]: Required value"),
    ("configmaps", "data", {"..x": "v"}, "must not start with '..'"),
]


@pytest.mark.parametrize(("plural", "path", "value", "wanted"), CASES)
def test_one_wrong_field_is_named(plural: str, path: str, value: Any, wanted: str) -> None:
    errors = [str(e) for e in validate_create(resource_of(plural), changed(plural, path, value))]
    if not wanted:
        assert errors == []
    else:
        assert any(wanted in error for error in errors), errors


def updated(plural: str, path: str, value: Any) -> list[str]:
    old = changed(plural, "metadata.name", "x")
    return [str(e) for e in validate_update(resource_of(plural), changed(plural, path, value), old)]


def test_a_pod_may_change_its_image_and_little_else() -> None:
    assert updated("pods", CONTAINER + ".image", "other") == []
    assert updated("pods", "spec.activeDeadlineSeconds", 10) == []
    (error,) = updated("pods", CONTAINER + ".workingDir", "/x")
    assert error.startswith("spec: Forbidden: pod updates may not change fields other than")
    assert '+      "workingDir": "/x"' in error


def test_a_stateful_set_mounts_its_claim_templates() -> None:
    good = changed("statefulsets", "spec.serviceName", "s")
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeMode": "Filesystem",
    }
    good["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    good["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts
    assert validate_create(resource_of("statefulsets"), good) == []
    mounts[0]["name"] = "other"
    (error,) = validate_create(resource_of("statefulsets"), good)
    assert error.path == "spec.template.spec.containers[0].volumeMounts[0].name"


def test_selectors_are_immutable() -> None:
    new = {"matchLabels": {"a": "b", "c": "d"}}
    errors = updated("deployments", "spec.selector", new)
    assert any(
        e.startswith("spec.selector: Invalid value:") and e.endswith("field is immutable")
        for e in errors
    )


def test_an_immutable_config_map_stays() -> None:
    old = changed("configmaps", "immutable", True)
    new = changed("configmaps", "data", {"k": "v"})
    errors = [str(e) for e in validate_update(resource_of("configmaps"), new, old)]
    assert errors == [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set",
    ]


def test_names_and_uids_never_change() -> None:
    errors = updated("configmaps", "metadata.uid", "other")
    assert errors == ['metadata.uid: Invalid value: "other": field is immutable'] * 2


def test_hidden_environment_variables_earn_a_warning() -> None:
    pod = changed(
        "pods", CONTAINER + ".env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    )
    assert warnings(resource_of("pods"), pod) == [
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'
    ]
