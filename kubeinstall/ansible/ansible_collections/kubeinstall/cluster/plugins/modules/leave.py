#!/usr/bin/python
"""Ansible module: one step of hosts' leaving the cluster."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.drain import DrainOptions
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.leaving import delete_nodes, empty_nodes, remove_members
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.removed import remember

DOCUMENTATION = r"""
module: leave
short_description: One step of hosts' leaving the cluster
description:
  - Run it on a control plane that stays. Hosts that have left already change nothing.
  - Supports check mode.
options:
  config:
    description: The complete configuration of the host this runs on.
    type: dict
    required: true
  names:
    description: The hosts that leave.
    type: list
    elements: str
    required: true
  dead:
    description: Of these, the ones that do not answer.
    type: list
    elements: str
    default: []
  step:
    description: C(empty) drains their nodes, C(etcd) takes their members out, C(node) deletes their Nodes.
    type: str
    choices: [empty, etcd, node]
    required: true
  remember:
    description: With C(node), note that the hosts were taken off, so that a later run does not make them anew.
    type: bool
    default: true
  timeout:
    description: Seconds to try to empty each node, 0 without end.
    type: int
    default: 300
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Take the etcd members out
  kubeinstall.cluster.leave:
    step: etcd
    config: "{{ kubeinstall_config }}"
    names: [d]
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
    "dead": {"type": "list", "elements": "str", "default": []},
    "step": {"type": "str", "choices": ["empty", "etcd", "node"], "required": True},
    "remember": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 300},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The step."""
    names = params["names"]
    match params["step"]:
        case "empty":
            options = DrainOptions(
                force=True,
                ignore_daemonsets=True,
                delete_emptydir_data=True,
                timeout=float(params["timeout"]),
            )
            return empty_nodes(names, params["dead"], options, check=check)
        case "etcd":
            return remove_members(params["config"], names, check=check)
        case _:
            outcome = delete_nodes(names, check=check)
            if params["remember"]:
                outcome.extend(remember(params["config"], names, [], check=check))
            return outcome


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
