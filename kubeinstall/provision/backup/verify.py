"""Whether a backup is whole."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.ansible.remote_upgrade import parse
from kubeinstall.pki.certificates import key_matches, load_certificate
from kubeinstall.pki.keys import load_key
from kubeinstall.provision.backup import container, snapshot
from kubeinstall.provision.backup.create import check_database
from kubeinstall.provision.backup.manifest import DOCUMENTS, ETCD, BackupError, Manifest


def read_manifest(path: Path, passphrase: bytes = b"") -> Manifest:
    """What the backup says about itself."""
    return container.manifest_of(path, passphrase)


def verify_backup(path: Path, passphrase: bytes = b"") -> Manifest:
    """Unpack all of it to a private place and look; BackupError tells what is wrong."""
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=path.absolute().parent) as name:
        return verified(path, passphrase, Path(name))


def verified(path: Path, passphrase: bytes, target: Path) -> Manifest:
    """Unpack to `target`: checksums, datastore and authority are right when this returns."""
    manifest = container.unpack(path, passphrase, target)
    for name in (manifest.database, DOCUMENTS):
        if not (target / name).is_file():
            raise BackupError(f"{path}: lacks {name}")
    if _contents(path, target, manifest) != (manifest.revision, manifest.objects):
        raise BackupError(f"{path}: the datastore is not the one that the manifest describes")
    _check_authority(target, manifest)
    return manifest


def _contents(path: Path, target: Path, manifest: Manifest) -> tuple[int, int]:
    """Revision and number of objects of the datastore that was unpacked."""
    database = target / manifest.database
    if manifest.datastore == ETCD:
        snapshot.check_hash(database)
        found = snapshot.read_snapshot(database)
        return found.revision, found.objects
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return check_database(connection)
    except sqlite3.Error as error:
        raise BackupError(f"{path}: the datastore cannot be read: {error}") from error


def check_version(manifest: Manifest) -> None:
    """BackupError unless this release may run what the backup's release stored: kubeadm's rule for upgrades."""
    made, own = parse(manifest.kubernetes), parse(KUBERNETES_VERSION)
    if made is None or own is None or made[:2] == own[:2]:
        return
    if made > own:
        raise BackupError(
            f"the backup is of Kubernetes {manifest.kubernetes}, which is newer than this kubeinstall "
            f"({KUBERNETES_VERSION}); restore it with kubeinstall {manifest.kubeinstall} or later"
        )
    if made[0] != own[0] or made[1] + 1 < own[1]:
        raise BackupError(
            f"the backup is of Kubernetes {manifest.kubernetes}, more than one minor version before this kubeinstall "
            f"({KUBERNETES_VERSION}); restore it with kubeinstall {manifest.kubeinstall}, then upgrade"
        )


def _check_authority(target: Path, manifest: Manifest) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256

    for path in target.glob("root/**/ca.crt"):
        certificate = load_certificate(path)
        if certificate.fingerprint(SHA256()).hex() != manifest.authority:
            continue
        key = path.with_suffix(".key")
        if key.exists() and not key_matches(certificate, load_key(key)):
            raise BackupError(f"{key.relative_to(target)}: is not the key of ca.crt")
        return
    raise BackupError("the backup lacks the cluster's certificate authority")
