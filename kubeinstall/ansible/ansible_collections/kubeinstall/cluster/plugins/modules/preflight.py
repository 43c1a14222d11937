#!/usr/bin/python
"""Ansible module: check a host before anything is touched."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.preflight import Host, failure_text, findings, verdict
from kubeinstall.errors import KubeinstallError

DOCUMENTATION = r"""
module: preflight
short_description: Check a host before anything is touched
description:
  - Runs kubeadm's checks, and fails with all of their errors at once.
  - Supports check mode and diff.
options:
  node_name:
    description: Name that the node will have.
    type: str
    required: true
  ports:
    description: Ports that must be free.
    type: list
    elements: int
    default: [6443, 10259, 10257, 10250]
  cri_socket:
    description: The container runtime's socket.
    type: str
    default: "unix:///run/containerd/containerd.sock"
  ignore:
    description: Checks whose errors are shown as warnings; C(all) for every one.
    type: list
    elements: str
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Check the host
  kubeinstall.cluster.preflight:
    node_name: node-a
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "node_name": {"type": "str", "required": True},
    "ports": {"type": "list", "elements": "int", "default": [6443, 10259, 10257, 10250]},
    "cri_socket": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "ignore": {"type": "list", "elements": "str", "default": []},
}


def ensure(params: dict[str, Any], _check: bool) -> Outcome:
    """Look, and change nothing: the same in check mode."""
    host = Host(
        node_name=params["node_name"],
        ports=tuple(params["ports"]),
        cri_socket=params["cri_socket"],
    )
    errors, warnings = verdict(findings(host), params["ignore"])
    if errors:
        raise KubeinstallError(failure_text(errors))
    return Outcome(warnings=[str(warning) for warning in warnings])


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
