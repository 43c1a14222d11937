"""A backup's passphrase, which comes from a file or a prompt, and never stands in a command line."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.provision.backup.manifest import BackupError


def read_passphrase(path: Path) -> bytes:
    """The file's first line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    if not lines or not lines[0]:
        raise BackupError(f"{path}: its first line must be the passphrase")
    return lines[0]
