"""A backup of a cluster, opened on the machine that has the inventory: everything is looked at before any host is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.ansible.authorities import FILES as AUTHORITIES
from kubeinstall.provision.backup.hosts import differences
from kubeinstall.provision.backup.manifest import (
    DOCUMENTS,
    ETCD,
    FILES,
    BackupError,
    Manifest,
)
from kubeinstall.provision.backup.restore import forget_history
from kubeinstall.provision.backup.snapshot import move_on
from kubeinstall.provision.backup.verify import check_version, verified

Object = dict[str, Any]

_KUBERNETES = "etc/kubernetes/"
#: What kubeinstall writes itself, on each host anew.
_WRITTEN = (".conf", "components.yaml", "supervisor.yaml", "etcd.yaml")


@dataclass(frozen=True)
class Opened:
    """`id` names this restore: the same file for the same hosts. `authorities` (name → base64) are secret, and
    `database` is the datastore, ready to be put in place. `extras` (path → base64) are files of the user's own."""

    id: str
    manifest: Manifest
    authorities: dict[str, str]
    database: Path
    extras: dict[str, str]


def open_backup(
    path: Path,
    passphrase: bytes,
    configs: Mapping[str, Object],
    folder: Path,
    *,
    other_hosts: bool = False,
) -> Opened:
    """Unpack `path` below `folder`, which must be empty and private, and see that it fits the inventory's hosts.

    BackupError tells all that is wrong. The revision is moved on: see `snapshot.move_on`.
    """
    if not path.is_file():
        raise BackupError(f"{path}: there is no such file")
    manifest = verified(path, passphrase, folder)
    check_version(manifest)
    _check_hosts(path, manifest, configs, other_hosts=other_hosts)
    database = folder / manifest.database
    identity = _identity(manifest, configs)
    if manifest.datastore == ETCD:
        move_on(database)
    else:
        forget_history(database)
    authorities = _authorities(folder)
    missing = [name for name in ("ca.crt", "ca.key", "sa.key") if name not in authorities]
    if manifest.datastore == ETCD:
        missing += [name for name in ("etcd/ca.crt", "etcd/ca.key") if name not in authorities]
    if missing:
        raise BackupError(f"{path}: lacks {', '.join(missing)} of the certificates' folder")
    return Opened(identity, manifest, authorities, database, dict(_extras(folder)))


def _check_hosts(
    path: Path, manifest: Manifest, configs: Mapping[str, Object], *, other_hosts: bool
) -> None:
    etcd = bool(next(iter(configs.values()))["host"]["etcd"]["members"])
    if etcd != (manifest.datastore == ETCD):
        raise BackupError(
            f"{path}: its datastore is {manifest.datastore}, and the inventory's is {ETCD if etcd else 'sqlite'}: the "
            "group etcd must have hosts for the one, and none for the other"
        )
    wrong, others = differences(manifest.cluster, configs)
    if wrong:
        raise BackupError(
            f"{path}: is of another cluster than the inventory describes; no host was touched:\n"
            + "\n".join(f"  {line}" for line in wrong)
        )
    if others and not other_hosts:
        raise BackupError(
            f"{path}: was made of other hosts than the inventory has; no host was touched:\n"
            + "\n".join(f"  {line}" for line in others)
            + "\nMake the inventory as it was, or give --other-hosts to restore onto these; Nodes that are gone are "
            "then to be deleted (kubectl delete node)"
        )


def _identity(manifest: Manifest, configs: Mapping[str, Object]) -> str:
    members = next(iter(configs.values()))["host"]["etcd"]["members"]
    text = manifest.encode() + repr(sorted(members.items())).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _authorities(folder: Path) -> dict[str, str]:
    """From where the certificates were, wherever that is (`certificatesDir`)."""
    documents = yaml.safe_load_all((folder / DOCUMENTS).read_text())
    cluster: Object = next((d for d in documents if d["kind"] == "ClusterConfiguration"), {})
    pki = folder / FILES / str(cluster.get("certificatesDir") or "/etc/kubernetes/pki").lstrip("/")
    return {
        name: base64.b64encode((pki / name).read_bytes()).decode()
        for name in AUTHORITIES
        if (pki / name).is_file()
    }


def _extras(folder: Path) -> Iterator[tuple[str, str]]:
    """Files of /etc/kubernetes that are no work of ours: admission and audit settings, and the like."""
    root = folder / FILES / _KUBERNETES
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        ours = name.endswith(_WRITTEN) or name.startswith(("pki/", "manifests/"))
        if path.is_file() and not path.is_symlink() and not ours:
            yield f"/{_KUBERNETES}{name}", base64.b64encode(path.read_bytes()).decode()
