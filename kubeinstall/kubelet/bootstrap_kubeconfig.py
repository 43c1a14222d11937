"""The kubeconfig that a bootstrapped kubelet has: its cluster, and the link to the rotated certificate."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.api.types import Object
from kubeinstall.client import kubeconfig as kubeconfigs
from kubeinstall.errors import SettingsError
from kubeinstall.kubelet.bootstrap_files import Validity, validity_of
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")


def credentials_valid(path: Path) -> bool:
    """Whether the kubeconfig can be read, and its client certificate (where it has one) has not expired."""
    if not path.exists():
        return False
    try:
        config = kubeconfigs.load(path)
    except SettingsError as error:
        log.warning("The kubeconfig cannot be used", error=str(error))
        return False
    validity = validity_of(config.cert_pem or b"")
    return validity is None or not validity.expired


def client_validity(path: Path) -> Validity | None:
    """Of the kubeconfig's client certificate; None without one."""
    return validity_of(kubeconfigs.load(path).cert_pem or b"")


def write_kubeconfig(path: Path, source: Path, current: Path) -> None:
    """The cluster of the bootstrap kubeconfig `source` with the certificate at `current`; names are upstream's."""
    document = _read(source)
    chosen = next(
        entry["context"]
        for entry in document["contexts"]
        if entry["name"] == document["current-context"]
    )
    cluster = next(c["cluster"] for c in document["clusters"] if c["name"] == chosen["cluster"])
    authority = cluster.pop("certificate-authority", None)
    if authority and not cluster.get("certificate-authority-data"):
        # The files of a bootstrap may be removed after it.
        data = base64.b64encode((source.parent / authority).read_bytes()).decode()
        cluster["certificate-authority-data"] = data
    context = {"cluster": "default-cluster", "namespace": "default", "user": "default-auth"}
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": cluster}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
        "users": [{"name": "default-auth", "user": _rotated(current)}],
    }
    _write(path, made)


def point_at(path: Path, current: Path) -> None:
    """Have a kubeconfig that carries its certificate inside use the rotated one (kubeadm's `kubelet-finalize`)."""
    document = _read(path)
    users = [entry["user"] for entry in document.get("users") or []]
    if len(users) == 1 and users[0] != _rotated(current):
        users[0].clear()
        users[0].update(_rotated(current))
        _write(path, document)


def _rotated(current: Path) -> dict[str, str]:
    return {"client-certificate": str(current), "client-key": str(current)}


def _read(path: Path) -> Object:
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict):
        raise SettingsError(f"kubeconfig {path} is empty or not a mapping")
    return document


def _write(path: Path, document: Object) -> None:
    from kubeinstall.pki.files import KEY_MODE, write_atomic  # with cryptography: 15 MB

    write_atomic(path, yaml.safe_dump(document, sort_keys=True).encode(), KEY_MODE)
