#!/usr/bin/python
"""Ansible module: decide what is made where. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elect
short_description: Decide which control plane acts for the cluster, and what is new
description:
  - Runs on the controller and touches no host. Run it once, when every host is prepared.
options:
  configs:
    description: Host to its complete configuration.
    type: dict
    required: true
  register:
    description: The variable that holds what each host said when it was prepared.
    type: str
    required: true
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Decide what is made where
  kubeinstall.cluster.elect:
    configs: "{{ bootstrap_plan.configs }}"
    register: machine_state
  run_once: true
  register: machine_decision
"""

RETURN = r"""
first:
  description: The control plane that acts for the cluster.
  type: str
  returned: success
carry:
  description: Whether authorities have to be made or copied.
  type: bool
  returned: success
etcd_new:
  description: Whether etcd is started for the first time.
  type: bool
  returned: success
serving:
  description: Control planes whose API server runs.
  type: list
  elements: str
  returned: success
settled:
  description: Whether no host has anything left to do.
  type: bool
  returned: success
token:
  description: Whether some node has to bootstrap.
  type: bool
  returned: success
"""
