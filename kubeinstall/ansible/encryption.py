"""The keys of encryption at rest, on the first control plane of a new cluster."""

from __future__ import annotations

from typing import Any

import yaml

from kubeinstall.ansible.components import component_settings, encryption_file
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.textfiles import ensure_text

Object = dict[str, Any]

HEADER = (
    "# Made by kubeinstall, and changed by `kubeinstall secrets-encryption`. Who has this file can read\n"
    "# every Secret in the datastore; who has lost it can read none: back it up.\n"
)


def ensure_encryption(config: Object, *, check: bool) -> Outcome:
    """Make a random key unless there is a file, or the configuration names another one. Never touches what is there."""
    path = encryption_file(config)
    wanted = component_settings(config)["kube-apiserver"].get("encryption-provider-config")
    if path.exists() or wanted != str(path):
        return Outcome()
    from kubeinstall.storage.encryption import new_configuration  # few runs make one

    text = HEADER + yaml.safe_dump(new_configuration(), sort_keys=False)
    return ensure_text(path, text, check=check, mode=0o600, secret=True)
