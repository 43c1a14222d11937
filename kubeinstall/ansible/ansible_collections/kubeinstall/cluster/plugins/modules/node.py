#!/usr/bin/python
"""Ansible module: wait for the node and mark it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.bootstrap import ensure_node
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: node
short_description: Wait for the node and mark it
description:
  - Waits until it is Ready, then gives it the control-plane labels and taints.
  - Supports check mode and diff.
options:
  config:
    description: Complete configuration documents under C(init), C(cluster), C(kubelet) and C(proxy).
    type: dict
    required: true
  timeout:
    description: Seconds to wait for Ready.
    type: int
    default: 120
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Wait for the node
  kubeinstall.cluster.node:
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
    "timeout": {"type": "int", "default": 120},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Wait, then label and taint."""
    return ensure_node(params["config"], check=check, seconds=params["timeout"])


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
