#!/usr/bin/python
"""Ansible module: run the Kubernetes components."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.component_services import ensure_components
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: components
short_description: Run the Kubernetes components
description:
  - Writes their settings and runs each as a service, restarting those whose settings changed.
  - Supports check mode and diff.
options:
  config:
    description: Complete configuration documents under C(init), C(cluster), C(kubelet) and C(proxy).
    type: dict
    required: true
  names:
    description: Components to configure and run.
    type: list
    elements: str
    required: true
  start:
    description: Whether to run them now; without it they are only configured.
    type: bool
    default: true
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Run the components
  kubeinstall.cluster.components:
    config: "{{ kubeinstall_config }}"
    names: [kubelet, kube-proxy]
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
    "names": {"type": "list", "elements": "str", "required": True},
    "start": {"type": "bool", "default": True},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Settings, then services."""
    return ensure_components(params["config"], params["names"], start=params["start"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
