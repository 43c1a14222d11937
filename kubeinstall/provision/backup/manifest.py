"""What a backup says about itself: the first member of its archive, `manifest.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubeinstall.errors import KubeinstallError

NAME = "manifest.json"
FORMAT = 2
_FORMATS = (1, FORMAT)  # 1 had no `cluster`, and nothing but SQLite
SQLITE, ETCD = "sqlite", "etcd"
DATASTORE = "datastore/state.db"
SNAPSHOT = "datastore/etcd.db"
DOCUMENTS = "kubeadm.yaml"
FILES = "root/"  # what stands below it goes to the same place on the host
_BLOCK = 1 << 20


class BackupError(KubeinstallError):
    """A backup cannot be made, is damaged, or does not fit here."""


@dataclass(frozen=True)
class Member:
    """A file of the archive. `link` is the target of a symbolic link, which has no content."""

    name: str
    size: int
    sha256: str
    mode: int
    link: str = ""


@dataclass(frozen=True)
class Manifest:
    """`created` is RFC 3339 in UTC. `authority` is the SHA-256 of the cluster's ca.crt, `revision` the datastore's.

    `cluster` is what the cluster consisted of, as `hosts.description` gives it.
    """

    created: str
    node: str
    kubeinstall: str
    kubernetes: str
    datastore: str
    revision: int
    objects: int
    authority: str
    members: tuple[Member, ...]
    cluster: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def database(self) -> str:
        """Name of the datastore's member."""
        return SNAPSHOT if self.datastore == ETCD else DATASTORE

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1).encode()


def decode(data: bytes) -> Manifest:
    """The manifest of its JSON; BackupError when it is of another format."""
    try:
        document = json.loads(data)
        if document.get("format") not in _FORMATS:
            raise BackupError(
                f"the backup has format {document.get('format')}, this kubeinstall reads up to {FORMAT}: it is by "
                f"kubeinstall {document.get('kubeinstall')}, which can restore it"
            )
        members = tuple(Member(**member) for member in document.pop("members"))
        return Manifest(**document, members=members)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError("the backup's manifest cannot be read") from error


def member_of(name: str, path: Path) -> Member:
    """The entry of a file here."""
    status = path.lstat()
    if path.is_symlink():
        return Member(name, 0, "", 0o777, str(path.readlink()))
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return Member(name, status.st_size, digest.hexdigest(), status.st_mode & 0o7777)
