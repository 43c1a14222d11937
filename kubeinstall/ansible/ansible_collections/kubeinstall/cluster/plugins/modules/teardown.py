#!/usr/bin/python
"""Ansible module: take Kubernetes off a host."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.teardown import ensure_gone

DOCUMENTATION = r"""
module: teardown
short_description: Take Kubernetes off a host
description:
  - Undoes everything that the other modules did, from any half-finished state.
  - Supports check mode and diff.
options:
  config:
    description: A complete ResetConfiguration.
    type: dict
    required: true
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Take Kubernetes off the host
  kubeinstall.cluster.teardown:
    config: "{{ kubeinstall_reset }}"
"""

RETURN = r"""
changes:
  description: What was undone, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {"config": {"type": "dict", "required": True}}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Undo all of it."""
    return ensure_gone(params["config"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
