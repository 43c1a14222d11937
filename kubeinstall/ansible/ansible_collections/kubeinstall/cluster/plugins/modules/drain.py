#!/usr/bin/python
"""Ansible module: empty a node for work on it, or let pods come to it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.drain import DrainOptions, cordon, drain
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

DOCUMENTATION = r"""
module: drain
short_description: Empty a node for work on it, or let pods come to it again
description:
  - Evicts as C(kubectl drain) does, with respect for PodDisruptionBudgets; DaemonSets' and static pods stay.
  - Nothing is evicted when a pod may not go.
  - Run it on (or delegated to) a control plane.
  - Supports check mode.
options:
  name:
    description: The node.
    type: str
    required: true
  state:
    description: C(drained) is cordoned and empty, C(cordoned) takes no new pods, C(uncordoned) takes them.
    type: str
    choices: [drained, cordoned, uncordoned]
    default: drained
  force:
    description: Also remove pods that nobody will make again.
    type: bool
    default: false
  delete_emptydir_data:
    description: Also remove pods with emptyDir volumes.
    type: bool
    default: false
  disable_eviction:
    description: Delete pods, past PodDisruptionBudgets.
    type: bool
    default: false
  grace_period:
    description: Seconds given to each pod to end; -1 for its own.
    type: int
    default: -1
  timeout:
    description: Seconds to try, 0 without end.
    type: int
    default: 300
  kubeconfig:
    description: The kubeconfig to work with.
    type: path
    default: /etc/kubernetes/admin.conf
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Empty the node
  kubeinstall.cluster.drain:
    name: "{{ inventory_hostname }}"
  delegate_to: "{{ groups.kube_control_plane | first }}"
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["drained", "cordoned", "uncordoned"],
        "default": "drained",
    },
    "force": {"type": "bool", "default": False},
    "delete_emptydir_data": {"type": "bool", "default": False},
    "disable_eviction": {"type": "bool", "default": False},
    "grace_period": {"type": "int", "default": -1},
    "timeout": {"type": "int", "default": 300},
    "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
}
_SERVER_SECONDS = 60.0


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The state."""
    name, state = params["name"], params["state"]
    options = DrainOptions(
        force=params["force"],
        ignore_daemonsets=True,
        delete_emptydir_data=params["delete_emptydir_data"],
        disable_eviction=params["disable_eviction"],
        grace_period=params["grace_period"],
        timeout=float(params["timeout"]),
    )

    async def work(client: ApiClient) -> Outcome:
        outcome = Outcome()
        if state == "drained":
            said: list[str] = []
            outcome.changes += await drain(client, name, options, said.append, dry_run=check)
            outcome.warnings += [s.removeprefix("Warning: ") for s in said if "cannot be" in s]
        elif await cordon(client, name, unschedulable=state == "cordoned", dry_run=check):
            outcome.add(f"{state.removesuffix('ed')} node {name}")
        return outcome

    return with_client(Path(params["kubeconfig"]), work, _SERVER_SECONDS)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
