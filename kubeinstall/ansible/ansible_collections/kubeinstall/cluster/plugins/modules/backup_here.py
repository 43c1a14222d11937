#!/usr/bin/python
"""Ansible module: make a backup of the cluster on a control plane. The action `backup` brings it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: backup_here
short_description: Make a backup of the cluster in a file of a control plane
description:
  - What C(backup) does on the host; use that.
  - Supports check mode, in which nothing is made.
options:
  path:
    description: The file to write on the host; must not be there.
    type: path
    required: true
  passphrase:
    description: Seals the file; empty leaves it open.
    type: str
    default: ""
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Save the cluster
  kubeinstall.cluster.backup_here:
    path: /var/backups/lab.backup
"""

RETURN = r"""
backup:
  description: What is in it, under C(objects), C(revision), C(datastore) and C(node).
  type: dict
  returned: success
"""

SPEC: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "passphrase": {"type": "str", "default": "", "no_log": True},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Make it on this host."""
    from kubeinstall.provision.backup import create_backup

    outcome = Outcome(changes=[f"write {params['path']}"])
    if check:
        return outcome
    made = create_backup(Path(params["path"]), params["passphrase"].encode())
    outcome.facts["backup"] = {
        "objects": made.objects,
        "revision": made.revision,
        "datastore": made.datastore,
        "node": made.node,
    }
    return outcome


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
