"""The package index of a folder of .deb files, which makes it a repository that apt takes."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kubeinstall.provision.bundle.manifest import BundleError


def package_index(archives: Iterable[Path]) -> str:
    """One stanza an archive: its own control fields, and where it is and what it must be."""
    return "\n".join(_stanza(path) for path in archives)


def _stanza(path: Path) -> str:
    asked = subprocess.run(
        ["dpkg-deb", "--field", str(path)], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise BundleError(f"{path.name}: cannot be read: {asked.stderr.strip()}")
    data = path.read_bytes()
    return (
        f"{asked.stdout.rstrip()}\nFilename: ./{path.name}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
    )
