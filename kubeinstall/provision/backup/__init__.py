"""Backups of a host's cluster: one file with datastore, keys and configuration, and the way back."""

from kubeinstall.provision.backup.create import create_backup
from kubeinstall.provision.backup.manifest import Manifest
from kubeinstall.provision.backup.restore import restore_backup
from kubeinstall.provision.backup.verify import read_manifest, verify_backup

__all__ = ["Manifest", "create_backup", "read_manifest", "restore_backup", "verify_backup"]
