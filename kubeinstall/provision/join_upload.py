"""Sharing the authorities with control planes that join: kubeadm's `upload-certs`.

They are encrypted with the certificate key, which is printed and never stored. A token that lives two hours owns the
Secret: when the token cleaner removes it, the garbage collector removes the Secret.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall.config.defaults import default_cluster
from kubeinstall.errors import AlreadyExists, KubeinstallError
from kubeinstall.pki import BootstrapToken, encrypt_with_key, new_certificate_key
from kubeinstall.pki.tokens import DEFAULT_GROUP, token_secret
from kubeinstall.provision.join_cluster import CERTS_SECRET, OPTIONAL_FILES, shared_files
from kubeinstall.provision.tokens import with_cluster

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

LIFE = timedelta(hours=2)
_NAMESPACE = "kube-system"
_RBAC = "rbac.authorization.k8s.io"
_ROLE = f"kubeadm:{CERTS_SECRET}"


def upload_certificates(kubeconfig: Path, key: str = "") -> str:
    """Encrypt and upload what the cluster's control planes share; the certificate key, random unless given.

    Uploading again replaces the Secret.
    """
    key = key or new_certificate_key()

    async def work(client: ApiClient) -> None:
        found = await client.get("v1/configmaps", "kubeadm-config", _NAMESPACE)
        text = (found.get("data") or {}).get("ClusterConfiguration") or ""
        data = encrypted(default_cluster(yaml.safe_load(text) or {}), key)
        owner = await client.create("v1/secrets", _owner())
        await _put(client, "v1/secrets", _secret(data, owner))
        for gvr, obj in (
            (f"{_RBAC}/v1/roles", _role()),
            (f"{_RBAC}/v1/rolebindings", _binding()),
        ):
            await _put(client, gvr, obj)

    with_cluster(kubeconfig, work)
    return key


def encrypted(configuration: Object, key: str) -> dict[str, str]:
    """Name in the Secret → base64 of the encrypted file, of all that a ClusterConfiguration says is shared."""
    pki = Path(configuration["certificatesDir"])
    return {
        name: base64.b64encode(encrypt_with_key(_read(pki / file), key)).decode()
        for name, file in shared_files(configuration).items()
        if name not in OPTIONAL_FILES or (pki / file).exists()
    }


async def _put(client: ApiClient, gvr: str, obj: Object) -> None:
    try:
        await client.create(gvr, obj)
    except AlreadyExists:
        await client.update(gvr, obj)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KubeinstallError(
            f"{path}: cannot be read: {error.strerror}; certificates are uploaded from a control-plane host that has "
            "the authorities' keys"
        ) from error


def _owner() -> Object:
    return token_secret(
        BootstrapToken.generate(),
        expires=datetime.now(UTC) + LIFE,
        description="Proxy for managing TTL for the kubeadm-certs secret",
        usages=(),
        groups=(),
    )


def _secret(data: dict[str, str], owner: Object) -> Object:
    reference = {
        "apiVersion": "v1",
        "kind": "Secret",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
        "controller": True,
    }
    meta = {"name": CERTS_SECRET, "namespace": _NAMESPACE, "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


def _role() -> Object:
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [CERTS_SECRET],
        "verbs": ["get"],
    }
    meta = {"name": _ROLE, "namespace": _NAMESPACE}
    return {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}


def _binding() -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _ROLE, "namespace": _NAMESPACE},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": _ROLE},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": DEFAULT_GROUP}],
    }
