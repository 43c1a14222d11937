"""Replacing the authorities, in stages that leave no moment at which somebody is not trusted.

`trust`: the new certificate is added to the old one, which goes on signing. `issue`: the new one signs, and comes first
in the file; the old one is still trusted. `drop`: only the new one is left. The service-account key goes the same way:
`sa.pub` holds the public keys that are taken, its first is that of `sa.key`, which signs.

In every file the first certificate, or key, is the one that signs; so whoever reads one reads the right one. The new
authorities wait in `pki/rotation`, under the names that they will have.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from kubeinstall.pki.certificates import certificate_pem, load_certificates, new_authority
from kubeinstall.pki.errors import PkiError
from kubeinstall.pki.files import CERTIFICATE_MODE, KEY_MODE, write_atomic
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import authorities
from kubeinstall.pki.keys import generate_key, key_pem, public_pem

SERVICE_ACCOUNT = "sa"
FOLDER = "rotation"


class Stage(IntEnum):
    """How far a host is. NONE: as it was."""

    NONE = 0
    TRUST = 1
    ISSUE = 2
    DROP = 3


def replaceable(identity: ClusterIdentity) -> list[str]:
    """Names of what can be replaced, as files below the pki directory without their suffix."""
    return [*(spec.name for spec in authorities(identity)), SERVICE_ACCOUNT]


def make_new(pki: Path, identity: ClusterIdentity, names: Iterable[str]) -> list[str]:
    """New authorities beside the old, all of them or, at a crash, none. What waits there already is kept, and its
    names are returned: a replacement that has begun is ended before another."""
    folder = pki / FOLDER
    if folder.exists():
        return waiting(pki)
    made = pki / f".{FOLDER}.new"
    shutil.rmtree(made, ignore_errors=True)
    specs = {spec.name: spec for spec in authorities(identity)}
    for name in names:
        if not (pki / f"{name}.key").exists():
            raise PkiError(
                f"{pki / name}.key: missing; an authority that is kept elsewhere is replaced there"
            )
        if name == SERVICE_ACCOUNT:
            key = generate_key(identity.algorithm)
            _write_pair(made, name, public_pem(key.public_key()), key_pem(key))
        else:
            new = new_authority(specs[name].common_name, identity.algorithm, identity.ca_validity)
            _write_pair(made, name, certificate_pem(new.certificate), key_pem(new.key))
    made.chmod(0o700)
    made.rename(folder)
    return waiting(pki)


def waiting(pki: Path) -> list[str]:
    """Names of the new authorities that wait; none when no replacement is under way."""
    folder = pki / FOLDER
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix in _PUBLIC)
    return sorted(str(path.with_suffix("")) for path in found)


def read_new(pki: Path) -> dict[str, str]:
    """File (`ca.crt`, `ca.key`, …) → base64 of the new authorities. Secret."""
    folder = pki / FOLDER
    return {
        str(path.relative_to(folder)): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def place_new(pki: Path, files: Mapping[str, str]) -> None:
    """Have the new authorities wait here too. Another replacement that waits here is an error."""
    for name, content in files.items():
        path, data = pki / FOLDER / name, base64.b64decode(content)
        if path.exists() and path.read_bytes() != data:
            raise PkiError(f"{path}: is of another replacement; look which of the two was begun")
        write_atomic(path, data, KEY_MODE if name.endswith(".key") else CERTIFICATE_MODE)
    if files:
        (pki / FOLDER).chmod(0o700)


def discard_new(pki: Path) -> None:
    """The replacement is done: nothing waits any more."""
    shutil.rmtree(pki / FOLDER, ignore_errors=True)


def stage_of(pki: Path, name: str, new: bytes) -> Stage:
    """How far the authority's file is; `new` is the new certificate (or public key), PEM."""
    path = _public(pki, name)
    if not path.exists():
        return Stage.NONE
    found, wanted = blocks(path.read_bytes()), blocks(new)[0]
    if wanted not in found:
        return Stage.NONE
    if found == [wanted]:
        return Stage.DROP
    return Stage.ISSUE if found[0] == wanted else Stage.TRUST


def write_stage(pki: Path, name: str, stage: Stage, new: bytes, key: bytes | None) -> bool:
    """Bring one authority's files to the stage, never back; whether anything was written.

    `key` is None on a host that has no key of it.
    """
    path = _public(pki, name)
    reached = stage_of(pki, name, new)
    own = pki / f"{name}.key"
    lacks_key = key is not None and stage >= Stage.ISSUE and own.read_bytes() != key
    if reached >= stage and not lacks_key:
        return False
    if reached < stage:
        found, wanted = blocks(path.read_bytes()), blocks(new)[0]
        old = [block for block in found if block != wanted]
        order = {Stage.TRUST: [*old, wanted], Stage.ISSUE: [wanted, *old], Stage.DROP: [wanted]}
        write_atomic(path, b"".join(order[stage]), CERTIFICATE_MODE)
    if key is not None and stage >= Stage.ISSUE:
        write_atomic(own, key, KEY_MODE)
    return True


def blocks(pem: bytes) -> list[bytes]:
    """Certificates or public keys of a file, each in the one form that we write."""
    if b"CERTIFICATE" in pem:
        return [certificate_pem(found) for found in load_certificates(pem)]
    mark = b"-----BEGIN PUBLIC KEY-----"
    parts = pem.split(mark)[1:]
    keys = [serialization.load_pem_public_key(mark + part) for part in parts]
    return [
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for key in keys
    ]


_PUBLIC = (".crt", ".pub")


def public_name(name: str) -> str:
    """The file that others may see."""
    return f"{name}.pub" if name == SERVICE_ACCOUNT else f"{name}.crt"


def _public(pki: Path, name: str) -> Path:
    return pki / public_name(name)


def _write_pair(folder: Path, name: str, public: bytes, key: bytes) -> None:
    write_atomic(folder / f"{name}.key", key, KEY_MODE)
    write_atomic(folder / public_name(name), public, CERTIFICATE_MODE)
