"""Making a backup while the cluster runs."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.ansible import paths
from kubeinstall.ansible.restarts import installed_settings
from kubeinstall.pki.certificates import load_certificate
from kubeinstall.provision.backup import container
from kubeinstall.provision.backup.documents import cluster_documents
from kubeinstall.provision.backup.manifest import (
    DATASTORE,
    DOCUMENTS,
    FILES,
    BackupError,
    Manifest,
    member_of,
)
from kubeinstall.provision.stored import datastore_url, sqlite_path
from kubeinstall.storage.sqlite.schema import connect, read_revision

Object = dict[str, Any]

_STEP_PAGES = 4096  # copied at a time: writers wait for no more than that


def create_backup(path: Path, passphrase: bytes = b"") -> Manifest:
    """Write a backup of this host's cluster to `path`, which must not exist. Empty passphrase: not sealed."""
    if path.exists():
        raise BackupError(f"{path}: is there already")
    if not path.parent.is_dir():
        raise BackupError(f"{path.parent}: is no directory")
    database = sqlite_path(datastore_url())
    if database is None:
        raise BackupError(
            "the datastore is etcd, which is saved by its own snapshots: etcdctl snapshot save FILE; "
            f"keep {paths.KUBERNETES}/pki with it"
        )
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=paths.STATE) as name:
        staging = Path(name)  # mode 0700
        before = _keys()
        copied = staging / "state.db"
        revision, objects = copy_database(database, copied)
        documents = staging / DOCUMENTS
        documents.write_text(cluster_documents(copied, installed_settings()))
        documents.chmod(0o600)
        files = {DATASTORE: copied, DOCUMENTS: documents, **dict(_files())}
        members = tuple(member_of(name, files[name]) for name in sorted(files))
        if _keys() != before:
            raise BackupError("the encryption keys were changed meanwhile; try again")
        manifest = Manifest(
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            node=socket.gethostname(),
            kubeinstall=__version__,
            kubernetes=KUBERNETES_VERSION,
            datastore="sqlite",
            revision=revision,
            objects=objects,
            authority=_authority(),
            members=members,
        )
        container.write(path, manifest, files, passphrase)
    return manifest


def copy_database(source: Path, target: Path) -> tuple[int, int]:
    """A consistent copy of a database in use (SQLite's backup API); its revision and the number of objects."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with (
            closing(connect(source, read_only=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy, pages=_STEP_PAGES, sleep=0.01)
            # The copy is a file of its own: without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            return check_database(copy)
    except sqlite3.Error as error:
        raise BackupError(f"{source}: cannot be copied: {error}") from error


def check_database(connection: sqlite3.Connection) -> tuple[int, int]:
    """Revision and number of objects of a sound database; BackupError for a damaged one."""
    verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise BackupError(f"the datastore is damaged: {verdict}")
    query = (
        "SELECT COUNT(*) FROM (SELECT MAX(revision) AS newest FROM log GROUP BY key) AS latest "
        "JOIN log ON log.revision = latest.newest WHERE log.deleted = 0"
    )
    return read_revision(connection), int(connection.execute(query).fetchone()[0])


def _files() -> Iterator[tuple[str, Path]]:
    """Name in the archive → file here: everything under /etc/kubernetes, and the kubelet's certificates."""
    server = installed_settings()["kube-apiserver"]
    folders = {paths.KUBERNETES, Path(server["tls-cert-file"]).parent, paths.KUBELET / "pki"}
    for folder in sorted(folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file() or path.is_symlink():
                yield f"{FILES}{str(path).lstrip('/')}", path


def _keys() -> bytes:
    value = installed_settings()["kube-apiserver"].get("encryption-provider-config")
    return Path(str(value)).read_bytes() if value else b""


def _authority() -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    path = Path(installed_settings()["kube-apiserver"]["client-ca-file"])
    return load_certificate(path).fingerprint(SHA256()).hex()
