#!/usr/bin/python
"""Ansible module: check the inventory. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Check the inventory and derive every host's configuration
description:
  - Runs on the controller and touches no host. Run it once.
options:
  bundle:
    description: A file made by C(kubeinstall bundle create) that packages and images come from; empty for the mirror.
    type: path
    default: ""
  leaving:
    description: Hosts that are being taken off the cluster, which no other host is to know of.
    type: list
    elements: str
    default: []
  only_archive:
    description: Only return the runtime archive, whatever the inventory says.
    type: bool
    default: false
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Check the inventory
  kubeinstall.cluster.plan:
  run_once: true
  register: kubeinstall_planned
"""

RETURN = r"""
configs:
  description: Host to its complete configuration.
  type: dict
  returned: success
marks:
  description: Node to the labels and taints that it should carry.
  type: dict
  returned: success
bundle:
  description: What hosts the bundle is for; empty without one.
  type: dict
  returned: success
packages:
  description: Host to its Debian packages, as the C(look) module takes them.
  type: dict
  returned: success
archive:
  description: The runtime archive, as the C(runtime) module takes it.
  type: dict
  returned: success
"""
