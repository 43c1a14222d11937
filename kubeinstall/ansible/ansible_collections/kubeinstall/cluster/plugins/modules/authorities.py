#!/usr/bin/python
"""Ansible module: make the cluster's authorities and read them, to be carried to other hosts."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.authorities import FILES, ensure_authorities, read_authorities
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: authorities
short_description: Make the cluster's authorities and read them
description:
  - Returns private keys. Use it with C(no_log), and only when a host lacks them.
  - Supports check mode, in which nothing is read, and the files have no content.
options:
  config:
    description: The host's complete configuration.
    type: dict
    required: true
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Make the authorities
  kubeinstall.cluster.authorities:
    config: "{{ kubeinstall_config }}"
  no_log: true
  register: servers_authorities
"""

RETURN = r"""
files:
  description: File below the pki directory to its content, base64. Secret.
  type: dict
  returned: success
"""

SPEC: dict[str, Any] = {"config": {"type": "dict", "required": True}}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Make what is missing, read all."""
    outcome = ensure_authorities(params["config"], check=check)
    outcome.facts["files"] = (
        dict.fromkeys(FILES, "") if check else read_authorities(params["config"])
    )
    return outcome


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
