#!/usr/bin/python
"""Ansible module: a step of restoring a cluster. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: A step of restoring a cluster from its backup
description:
  - See the playbook C(restore), which has the steps in order.
  - Supports check mode.
options:
  step:
    description:
      - C(open) verifies the backup on the controller and compares it with the inventory; C(look) tells whether a host
        has a cluster; C(clear) stops it and puts its data aside; C(place) puts authorities and datastore in place;
        C(placed) notes that every host has them; C(settle) waits for the nodes; C(done) takes the note away;
        C(close) removes what C(open) unpacked.
    type: str
    choices: [open, look, clear, place, placed, settle, done, close]
    required: true
  file:
    description: For C(open), the backup on the controller.
    type: path
  passphrase:
    description: For C(open), of a sealed backup.
    type: str
    default: ""
  passphrase_file:
    description: For C(open), a file on the controller whose first line is the passphrase.
    type: path
  configs:
    description: For C(open), host to its complete configuration.
    type: dict
  other_hosts:
    description: For C(open), allow other hosts and addresses than the backup was made of.
    type: bool
    default: false
  backup:
    description: What C(open) returned under this name.
    type: dict
  config:
    description: The host's complete configuration.
    type: dict
  force:
    description: For C(look), allow to replace the cluster that is there.
    type: bool
    default: false
  nodes:
    description: For C(settle), names of the nodes to wait for.
    type: list
    elements: str
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Look at every host
  kubeinstall.cluster.restore:
    step: look
    config: "{{ kubeinstall_config }}"
    backup: "{{ restore_opened.backup }}"
"""

RETURN = r"""
backup:
  description: The opened backup, for the other steps.
  type: dict
  returned: step is open
placed:
  description: Whether this restore has its data in place on the host.
  type: bool
  returned: step is look
"""
