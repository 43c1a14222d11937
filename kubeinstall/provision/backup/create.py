"""Making a backup while the cluster runs."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.ansible import paths
from kubeinstall.ansible.restarts import installed_settings
from kubeinstall.pki.certificates import load_certificate
from kubeinstall.provision.backup import container, hosts, snapshot
from kubeinstall.provision.backup.documents import (
    CONFIG_MAPS,
    cluster_documents,
    documents_of_database,
)
from kubeinstall.provision.backup.manifest import (
    DATASTORE,
    DOCUMENTS,
    ETCD,
    FILES,
    SNAPSHOT,
    SQLITE,
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
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=paths.STATE) as name:
        staging = Path(name)  # mode 0700
        before = _keys()
        copied = _copy(staging)
        documents = staging / DOCUMENTS
        documents.write_text(copied.documents)
        documents.chmod(0o600)
        files = {copied.name: copied.path, DOCUMENTS: documents, **dict(_files())}
        members = tuple(member_of(name, files[name]) for name in sorted(files))
        if _keys() != before:
            raise BackupError("the encryption keys were changed meanwhile; try again")
        manifest = Manifest(
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            node=socket.gethostname(),
            kubeinstall=__version__,
            kubernetes=KUBERNETES_VERSION,
            datastore=copied.kind,
            revision=copied.revision,
            objects=copied.objects,
            authority=_authority(),
            members=members,
            cluster=copied.cluster,
        )
        container.write(path, manifest, files, passphrase)
    return manifest


@dataclass(frozen=True)
class _Copy:
    kind: str
    name: str
    path: Path
    revision: int
    objects: int
    documents: str
    cluster: Object


def _copy(staging: Path) -> _Copy:
    """The datastore as it is at one moment, and what it says about the cluster."""
    url, settings = datastore_url(), installed_settings()
    database = sqlite_path(url)
    if database is None:
        saved = staging / "etcd.db"
        snapshot.take_snapshot(url, saved)
        found = snapshot.read_snapshot(saved, (CONFIG_MAPS, hosts.NODES))
        text = cluster_documents(found.values.get, settings)
        described = hosts.description(found.values, hosts.members_now(url))
        return _Copy(ETCD, SNAPSHOT, saved, found.revision, found.objects, text, described)
    copied = staging / "state.db"
    revision, objects = copy_database(database, copied)
    text = documents_of_database(copied, settings)
    return _Copy(SQLITE, DATASTORE, copied, revision, objects, text, {})


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
