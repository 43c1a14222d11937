"""What is in a bundle, and for which hosts it is."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from kubeinstall.errors import KubeinstallError

NAME = "manifest.json"
SUMS = "SHA256SUMS"  # the same checksums, for a shell
INSTALL = "install.sh"
ARCHIVE = "packages.tar.gz"
DEBS = "debs"
IMAGES = "images"
FORMAT = 1
_BLOCK = 1 << 20


class BundleError(KubeinstallError):
    """A bundle cannot be made, is damaged, or is for other hosts."""


@dataclass(frozen=True)
class BundleManifest:
    """`python` is e.g. "3.11", `architecture` Debian's name, `codename` the release's. `files`: name → SHA-256."""

    created: str
    kubeinstall: str
    kubernetes: str
    python: str
    architecture: str
    codename: str
    packages: tuple[str, ...]
    images: tuple[str, ...]
    files: dict[str, str]
    format: int = FORMAT

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    def sums(self) -> bytes:
        """As `sha256sum --check` reads them."""
        return "".join(f"{digest}  {name}\n" for name, digest in self.files.items()).encode()


def decode(data: bytes) -> BundleManifest:
    """The manifest of its JSON; BundleError when it is of another format."""
    try:
        document = json.loads(data)
        if document.get("format") != FORMAT:
            raise BundleError(
                f"the bundle has format {document.get('format')}, this reads {FORMAT}"
            )
        for field in ("packages", "images"):
            document[field] = tuple(document[field])
        return BundleManifest(**document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError("the bundle's manifest cannot be read") from error


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def this_host() -> tuple[str, str, str]:
    """Python version, Debian architecture and release of this machine."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    asked = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    return python, asked.stdout.strip(), codename
