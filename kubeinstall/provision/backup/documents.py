"""The configuration documents with which `init` makes the same cluster again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.config.schemas import V1BETA4
from kubeinstall.provision.backup.manifest import BackupError
from kubeinstall.storage.sqlite import reader
from kubeinstall.storage.sqlite.schema import read_revision

Object = dict[str, Any]

_CONFIG_MAP = "/registry/core/configmaps/kube-system/"


def cluster_documents(database: Path, settings: Object) -> str:
    """ClusterConfiguration and KubeletConfiguration as the cluster has them in kube-system, and an InitConfiguration of
    this host. `settings` is components.yaml."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        cluster = _data(connection, "kubeadm-config").get("ClusterConfiguration")
        kubelet = _data(connection, "kubelet-config").get("kubelet")
    if not cluster:
        raise BackupError(
            "kube-system/kubeadm-config is missing: kubeinstall init has not finished here, or was told to skip it"
        )
    documents = [yaml.safe_load(cluster), _init(settings)]
    if kubelet:
        documents.append(yaml.safe_load(kubelet))
    return yaml.safe_dump_all(documents, sort_keys=False)


def _init(settings: Object) -> Object:
    server, kubelet = settings["kube-apiserver"], settings.get("kubelet") or {}
    registration: Object = {
        "taints": [_taint(text) for text in _words(kubelet.get("register-with-taints"))]
    }
    for field, flag in (("name", "hostname-override"), ("criSocket", "container-runtime-endpoint")):
        if kubelet.get(flag):
            registration[field] = kubelet[flag]
    return {
        "apiVersion": V1BETA4,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {
            "advertiseAddress": server["advertise-address"],
            "bindPort": server["secure-port"],
        },
        "nodeRegistration": registration,
    }


def _taint(text: str) -> Object:
    key_value, _, effect = text.rpartition(":")
    key, _, value = key_value.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def _words(value: Any) -> list[str]:
    return [word for word in str(value or "").split(",") if word]


def _data(connection: sqlite3.Connection, name: str) -> Object:
    newest = read_revision(connection)
    found = reader.get(connection, _CONFIG_MAP + name, 0, newest)
    return (json.loads(found.value).get("data") or {}) if found is not None else {}
