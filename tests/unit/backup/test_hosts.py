"""Whether an inventory is the cluster that was saved, and which release may restore what."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.provision.backup import putting
from kubeinstall.provision.backup.hosts import description, differences
from kubeinstall.provision.backup.manifest import BackupError, Manifest, decode
from kubeinstall.provision.backup.verify import check_version

Object = dict[str, Any]

CLUSTER = {
    "clusterName": "lab",
    "networking": {
        "serviceSubnet": "10.96.0.0/12",
        "podSubnet": "10.244.0.0/16",
        "dnsDomain": "cluster.local",
    },
    "certificatesDir": "/etc/kubernetes/pki",
    "etcd": {},
}


def config(address: str, *roles: str) -> Object:
    members = {"a": "10.0.0.1", "b": "10.0.0.2"}
    return {
        "cluster": copy.deepcopy(CLUSTER),
        "init": {"localAPIEndpoint": {"advertiseAddress": address}},
        "host": {"roles": roles, "etcd": {"members": members}},
    }


def inventory() -> dict[str, Object]:
    return {
        "a": config("10.0.0.1", "control-plane", "etcd", "node"),
        "b": config("10.0.0.2", "control-plane", "etcd", "node"),
        "d": config("10.0.0.4", "node"),
    }


def node(name: str, address: str, **labels: str) -> bytes:
    found = {"metadata": {"name": name, "labels": labels}}
    return json.dumps(
        {**found, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}
    ).encode()


def saved() -> Object:
    mark = {"node-role.kubernetes.io/control-plane": ""}
    document = {"data": {"ClusterConfiguration": json.dumps(CLUSTER)}}
    values = {
        "/registry/core/nodes/a": node("a", "10.0.0.1", **mark),
        "/registry/core/nodes/b": node("b", "10.0.0.2", **mark),
        "/registry/core/nodes/d": node("d", "10.0.0.4"),
        "/registry/core/configmaps/kube-system/kubeadm-config": json.dumps(document).encode(),
    }
    return description(values, {"a": "10.0.0.1", "b": "10.0.0.2"})


def test_the_same_cluster_has_no_differences() -> None:
    assert differences(saved(), inventory()) == ([], [])


def test_another_network_or_name_forbids_a_restore() -> None:
    configs = inventory()
    for entry in configs.values():
        entry["cluster"]["networking"]["serviceSubnet"] = "10.97.0.0/16"
        entry["cluster"]["clusterName"] = "other"
    wrong, _ = differences(saved(), configs)
    assert wrong == [
        "clusterName is other, and was lab",
        "networking.serviceSubnet is 10.97.0.0/16, and was 10.96.0.0/12",
    ]


def test_other_hosts_are_named() -> None:
    configs = inventory()
    configs["e"] = configs.pop("d")
    configs["b"]["init"]["localAPIEndpoint"]["advertiseAddress"] = "10.0.0.9"
    for entry in configs.values():
        entry["host"]["etcd"]["members"] = {"a": "10.0.0.1"}
    wrong, others = differences(saved(), configs)
    assert not wrong
    assert others == [
        "node b has address 10.0.0.9, and had 10.0.0.2",
        "node d (10.0.0.4) is not in the inventory",
        "node e (10.0.0.4) is not in the backup",
        "control plane b has address 10.0.0.9, and had 10.0.0.2",
        "etcd member b (10.0.0.2) is not in the inventory",
    ]


def manifest(version: str) -> Manifest:
    return Manifest("", "a", "1.0", version, "etcd", 1, 1, "", ())


def of_minor(difference: int) -> str:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    return f"{major}.{int(minor) + difference}.0"


@pytest.mark.parametrize("difference", [0, -1])
def test_the_same_and_the_minor_version_before_may_be_restored(difference: int) -> None:
    check_version(manifest(of_minor(difference)))


@pytest.mark.parametrize(("difference", "message"), [(1, "newer than"), (-2, "more than one")])
def test_other_versions_are_refused(difference: int, message: str) -> None:
    with pytest.raises(BackupError, match=message):
        check_version(manifest(of_minor(difference)))


def test_a_format_of_the_future_is_refused_with_who_made_it() -> None:
    document = json.loads(replace(manifest("v1.36.0"), format=9).encode())
    with pytest.raises(BackupError, match=r"format 9.*kubeinstall 1\.0"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("kubeinstall-restore\n-\n", ({}, [])),
        (
            'a banner\nkubeinstall-restore\n{"id": "x", "placed": true}\netcd, which runs\n',
            ({"id": "x", "placed": True}, ["etcd, which runs"]),
        ),
        ("kubeinstall-restore\n/root/single.backup\n", ({"id": "/root/single.backup"}, [])),
        ("command not found", None),
    ],
)
def test_what_a_host_says_is_read(answer: str, expected: object) -> None:
    assert putting.read_look(answer) == expected
