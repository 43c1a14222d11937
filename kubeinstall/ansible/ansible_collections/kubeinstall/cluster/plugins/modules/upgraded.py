#!/usr/bin/python
"""Ansible module: what an upgrade does on the host itself."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.upgrade import renew_certificates, wait_serving

DOCUMENTATION = r"""
module: upgraded
short_description: Fresh certificates, or wait until the host does its part with the new runtime
description:
  - Supports check mode.
options:
  config:
    description: The host's complete configuration, as C(plan) derives it.
    type: dict
    required: true
  step:
    description: C(certificates) issues all leaf certificates of the host afresh; C(serving) waits.
    type: str
    choices: [certificates, serving]
    required: true
  timeout:
    description: Seconds to wait.
    type: int
    default: 180
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Wait until the host does its part
  kubeinstall.cluster.upgraded:
    step: serving
    config: "{{ kubeinstall_config }}"
"""

RETURN = r"""
upgraded_seconds:
  description: Seconds since the runtime was switched.
  type: float
  returned: step is serving
"""

SPEC: dict[str, Any] = {
    "config": {"type": "dict", "required": True},
    "step": {"type": "str", "choices": ["certificates", "serving"], "required": True},
    "timeout": {"type": "int", "default": 180},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The step."""
    if params["step"] == "certificates":
        return renew_certificates(params["config"], check=check)
    return Outcome() if check else wait_serving(params["config"], seconds=params["timeout"])


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
