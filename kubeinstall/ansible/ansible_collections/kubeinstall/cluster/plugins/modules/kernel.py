#!/usr/bin/python
"""Ansible module: set kernel modules and sysctls for pods."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.kernel import ensure_kernel
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: kernel
short_description: Set kernel modules and sysctls for pods
description:
  - Sets them now and for the next boot, and remembers what was there before.
  - Supports check mode and diff.
options: {}
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Prepare the kernel
  kubeinstall.cluster.kernel:
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {}


def ensure(_params: dict[str, Any], check: bool) -> Outcome:
    """Load and set what is not there yet."""
    return ensure_kernel(check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
