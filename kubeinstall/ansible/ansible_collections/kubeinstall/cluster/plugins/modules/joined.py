#!/usr/bin/python
"""Ansible module: wait for a node that joined by hand, and mark a control plane."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.joining import ensure_joined
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: joined
short_description: Wait for a node that joined by hand
description:
  - Waits until this host's node is Ready, with the host's own credentials; marks a control plane.
  - Supports check mode and diff.
options:
  config:
    description: The host's complete configuration.
    type: dict
    required: true
  timeout:
    description: Seconds to wait for Ready.
    type: int
    default: 240
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Wait for the node
  kubeinstall.cluster.joined:
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
    "timeout": {"type": "int", "default": 240},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Wait, then mark."""
    return ensure_joined(params["config"], check=check, seconds=params["timeout"])


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
