"""Recorded creations through decode, defaults and strategy: what upstream answered, less what other
parts of a server add (identity, managed fields, admission, allocation)."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import orjson
import pytest

from kubeinstall.api import codec, defaults, strategy
from kubeinstall.api.types import Object

from . import reference
from .paths import resource_of

_GROUPS = ("default", "warn", "rich", "raw")
_SERVER_METADATA = ("uid", "creationTimestamp", "managedFields", "resourceVersion")
#: Answers that authentication or authorization computes.
_REVIEWS = frozenset(("TokenReview", "SelfSubjectReview", "SubjectAccessReview"))
_POD_ADMISSION = (
    "priority",
    "preemptionPolicy",
    "tolerations",
    "serviceAccount",
    "serviceAccountName",
    "volumes",
)
_SERVICE_ALLOCATION = (
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "healthCheckNodePort",
)
_PROTECTION = frozenset(("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"))


def _created() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, case)
        for name, case in reference.golden().items()
        if name.split(".")[0] in _GROUPS
        and case["status"] == 201
        and case["body"]["kind"] not in _REVIEWS
    ]


def _without_others_parts(obj: Object) -> Object:
    obj = copy.deepcopy(obj)
    metadata, spec = obj["metadata"], obj.get("spec", {})
    for name in _SERVER_METADATA:
        metadata.pop(name, None)
    finalizers = [each for each in metadata.pop("finalizers", []) if each not in _PROTECTION]
    if finalizers:
        metadata["finalizers"] = finalizers
    if obj["kind"] == "Pod":
        for name in _POD_ADMISSION:
            spec.pop(name, None)
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            container.pop("volumeMounts", None)
    elif obj["kind"] == "Service":
        for name in _SERVICE_ALLOCATION:
            spec.pop(name, None)
        for port in spec.get("ports", ()):
            port.pop("nodePort", None)
    elif obj["kind"] == "Node":
        spec.pop("taints", None)
    elif obj["kind"] == "PersistentVolume":
        obj["status"].pop("lastPhaseTransitionTime")
    return obj


def _ours(case: dict[str, Any]) -> Object:
    resource = resource_of(case["path"])
    assert resource is not None
    sent = case["send"]
    body = sent.encode() if isinstance(sent, str) else orjson.dumps(sent)
    obj = codec.decode(resource, body, case["headers"].get("Content-Type", "")).object
    defaults.apply(resource, obj)
    obj["metadata"]["uid"] = "UUID"
    if obj["metadata"].get("generateName"):
        obj["metadata"]["name"] = case["body"]["metadata"]["name"]
    strategy.prepare_create(resource, obj)
    assert codec.normalize(resource, obj) == obj
    return obj


def test_recorded_creations() -> None:
    equal: Counter[str] = Counter()
    for name, case in _created():
        assert _without_others_parts(_ours(case)) == _without_others_parts(case["body"]), name
        equal[name.split(".")[0]] += 1
    assert equal["default"] >= 23
    assert equal["rich"] >= 28
    assert equal["warn"] >= 24


@pytest.mark.parametrize("name", ["default.Pod", "default.Deployment", "rich.svc.lb"])
def test_defaults_do_not_change_what_has_them(name: str) -> None:
    case = reference.golden()[name]
    resource = resource_of(case["path"])
    assert resource is not None
    obj = _ours(case)
    again = copy.deepcopy(obj)
    defaults.apply(resource, again)
    assert again == obj
