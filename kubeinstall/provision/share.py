"""Where the Ansible half is: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

import kubeinstall
from kubeinstall.errors import KubeinstallError

_PACKAGE = Path(kubeinstall.__file__).parent


def shared(name: str) -> Path:
    """The folder `playbooks`, `roles` or `templates`."""
    for parent in (_PACKAGE / "_share", _PACKAGE.parent):
        folder = parent / name
        if folder.is_dir():
            return folder
    raise KubeinstallError(f"{name} are missing from this installation of kubeinstall")


def collections() -> Path:
    """The folder for ANSIBLE_COLLECTIONS_PATH that holds our modules."""
    return _PACKAGE / "ansible"
