"""The authorities of a cluster: made on one control plane, carried to the others."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeinstall.ansible.encryption import ensure_encryption
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.outcome import Outcome, from_changes
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import ensure_pki
from kubeinstall.pki.files import CERTIFICATE_MODE, KEY_MODE, write_atomic

Object = dict[str, Any]

SHARED = ("ca", "front-proxy-ca", "etcd/ca")
ENCRYPTION = "encryption-config.yaml"
FILES = (
    *(f"{name}.{kind}" for name in SHARED for kind in ("crt", "key")),
    "sa.key",
    "sa.pub",
    ENCRYPTION,
)
ETCD_FILES = ("etcd/ca.crt", "etcd/ca.key")


def files_for(config: Object) -> tuple[str, ...]:
    """Which of them a host has: a host of etcd alone gets the etcd authority only, a worker none."""
    roles = config["host"]["roles"]
    if "control-plane" in roles:
        return FILES
    return ETCD_FILES if "etcd" in roles else ()


def external_files(config: Object) -> tuple[str, ...]:
    """Whole paths of an external etcd's CA and client pair, which a control plane that joins by hand is given."""
    external = config["cluster"]["etcd"].get("external") or {}
    if "control-plane" not in config["host"]["roles"]:
        return ()
    names = (external.get(field) for field in ("caFile", "certFile", "keyFile"))
    return tuple(str(name) for name in names if name)


def fingerprints(config: Object) -> dict[str, str]:
    """File → SHA-256 of what is there; says nothing of a key's content."""
    pki = Path(config["cluster"]["certificatesDir"])
    return {
        name: hashlib.sha256((pki / name).read_bytes()).hexdigest()
        for name in files_for(config)
        if (pki / name).is_file()
    }


def ensure_authorities(config: Object, *, check: bool) -> Outcome:
    """Make what is missing, on the first control plane."""
    pki = Path(config["cluster"]["certificatesDir"])
    phases = ["ca", "front-proxy-ca", "etcd-ca", "sa"]
    outcome = from_changes(ensure_pki(pki, identity_of(config), write=not check, only=phases))
    outcome.extend(ensure_encryption(config, check=check))
    return outcome


def read_authorities(config: Object) -> dict[str, str]:
    """File → base64 of its content. Secret."""
    pki = Path(config["cluster"]["certificatesDir"])
    return {
        name: base64.b64encode((pki / name).read_bytes()).decode()
        for name in FILES
        if (pki / name).is_file()
    }


def place_authorities(config: Object, files: Mapping[str, str], *, check: bool) -> Outcome:
    """Write what this host should have of `files`. What is there and differs is another cluster's: an error.

    A dry run is given names without content.
    """
    outcome = Outcome()
    pki = Path(config["cluster"]["certificatesDir"])
    for name in (*files_for(config), *external_files(config)):
        if name not in files:
            continue
        path, content = pki / name, base64.b64decode(files[name])
        if path.exists():
            if path.read_bytes() == content or (check and not content):
                continue
            if name != ENCRYPTION:  # whose keys may be rotated
                raise KubeinstallError(
                    f"{path}: differs from the other control planes'; this host belongs to another cluster. "
                    "Reset it (kubeinstall reset) to have it join this one"
                )
        outcome.add(f"write {path}")
        if not check:
            write_atomic(
                path, content, CERTIFICATE_MODE if name.endswith((".crt", ".pub")) else KEY_MODE
            )
    return outcome
