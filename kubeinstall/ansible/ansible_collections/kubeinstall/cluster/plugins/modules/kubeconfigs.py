#!/usr/bin/python
"""Ansible module: have the cluster's kubeconfig files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.outcome import Outcome, from_changes
from kubeinstall.ansible.paths import KUBERNETES
from kubeinstall.pki import ensure_kubeconfigs

DOCUMENTATION = r"""
module: kubeconfigs
short_description: Have the cluster's kubeconfig files
description:
  - Keeps what is right, renews what expired, refuses what is another cluster's.
  - Supports check mode and diff.
options:
  config:
    description: Complete configuration documents under C(init), C(cluster), C(kubelet) and C(proxy).
    type: dict
    required: true
  phases:
    description: Only these files, by kubeadm phase name; none for all.
    type: list
    elements: str
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Write kubeconfig files
  kubeinstall.cluster.kubeconfigs:
    config: "{{ kubeinstall_config }}"
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "config": {"type": "dict", "required": True},
    "phases": {"type": "list", "elements": "str", "default": []},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Make the set complete."""
    config = params["config"]
    pki = Path(config["cluster"]["certificatesDir"])
    only = params["phases"] or None
    return from_changes(
        ensure_kubeconfigs(KUBERNETES, pki, identity_of(config), write=not check, only=only)
    )


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
