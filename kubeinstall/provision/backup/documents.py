"""The configuration documents with which `init` makes the same cluster again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.config.schemas import V1BETA4
from kubeinstall.provision.backup.manifest import BackupError
from kubeinstall.storage.sqlite import reader
from kubeinstall.storage.sqlite.schema import read_revision

Object = dict[str, Any]

CONFIG_MAPS = "/registry/core/configmaps/kube-system/"

#: Key → stored value; None when it is not there.
Read = Callable[[str], bytes | None]


def documents_of_database(database: Path, settings: Object) -> str:
    """`cluster_documents` of a copy of the embedded datastore."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        newest = read_revision(connection)

        def read(key: str) -> bytes | None:
            found = reader.get(connection, key, 0, newest)
            return found.value if found is not None else None

        return cluster_documents(read, settings)


def cluster_documents(read: Read, settings: Object) -> str:
    """ClusterConfiguration and KubeletConfiguration as the cluster has them in kube-system, and an InitConfiguration of
    this host. `settings` is components.yaml."""
    cluster = config_map(read, "kubeadm-config").get("ClusterConfiguration")
    kubelet = config_map(read, "kubelet-config").get("kubelet")
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


def config_map(read: Read, name: str) -> Object:
    """The data of a ConfigMap of kube-system; empty when it is not there."""
    value = read(CONFIG_MAPS + name)
    if value is None:
        return {}
    try:
        return json.loads(value).get("data") or {}
    except ValueError as error:
        raise BackupError(
            f"kube-system/{name} is stored encrypted, so that the cluster's configuration cannot be read; leave "
            "configmaps out of the EncryptionConfiguration"
        ) from error
