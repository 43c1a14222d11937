#!/usr/bin/python
"""Ansible module: install Debian packages that are missing."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.packages import ensure_packages

DOCUMENTATION = r"""
module: packages
short_description: Install Debian packages that are missing
description:
  - Judges by dpkg's own database, which costs a hundredth of asking apt.
  - Supports check mode and diff.
options:
  names:
    description: Packages to have.
    type: list
    elements: str
    required: true
  unless_command:
    description: Package to command; where the command exists the package is not needed.
    type: dict
    default: {}
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Install the container runtime
  kubeinstall.cluster.packages:
    names: [containerd, runc]
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "unless_command": {"type": "dict", "default": {}},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Install what is missing."""
    return ensure_packages(params["names"], params["unless_command"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
