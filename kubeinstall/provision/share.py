"""Where playbooks, roles and our Ansible modules are.

In an installed package all of them are the collection `kubeinstall.cluster` beside it, in `ansible_collections/`, where
ansible-playbook looks without any setting; in a checkout they are folders of it.
"""

from __future__ import annotations

from pathlib import Path

import kubeinstall
from kubeinstall.errors import KubeinstallError

_PACKAGE = Path(kubeinstall.__file__).parent
#: The collection's place below site-packages.
COLLECTION = "ansible_collections/kubeinstall/cluster"


def shared(name: str) -> Path:
    """The folder `playbooks` or `roles`."""
    for parent in (_PACKAGE.parent / COLLECTION, _PACKAGE.parent):
        folder = parent / name
        if folder.is_dir():
            return folder
    raise KubeinstallError(f"{name} are missing from this installation of kubeinstall")


def collections() -> Path:
    """The folder for ANSIBLE_COLLECTIONS_PATH that holds our modules."""
    installed = _PACKAGE.parent
    return installed if (installed / COLLECTION / "plugins").is_dir() else _PACKAGE / "ansible"
