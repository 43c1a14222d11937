#!/usr/bin/python
"""Ansible module: have the cluster's own objects."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.bootstrap import ensure_cluster
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: cluster
short_description: Have the cluster's own objects
description:
  - Applies roles, configuration maps, cluster DNS and a bootstrap token once the server is ready.
  - Supports check mode and diff.
options:
  config:
    description: Complete configuration documents under C(init), C(cluster), C(kubelet) and C(proxy).
    type: dict
    required: true
  phases:
    description: Only these kubeadm phases; none for all.
    type: list
    elements: str
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Apply cluster objects
  kubeinstall.cluster.cluster:
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
    """Create what is missing, patch what differs."""
    return ensure_cluster(params["config"], params["phases"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
