#!/usr/bin/python
"""Ansible module: make a backup of the cluster and bring it here. The action plugin of this name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make a backup of the cluster on a control plane and bring it here
description:
  - Datastore, authorities, keys and configuration, in one file of mode 0600 on the controller.
  - Run it on one control plane. The cluster goes on working meanwhile.
  - Supports check mode, in which nothing is made.
options:
  file:
    description: The file to write on the controller; must not be there.
    type: path
  passphrase:
    description: Seals the file; empty leaves it open.
    type: str
    default: ""
  passphrase_file:
    description: A file on the controller whose first line is the passphrase.
    type: path
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Save the cluster
  kubeinstall.cluster.backup:
    file: /var/backups/lab.backup
    passphrase_file: /root/passphrase
"""

RETURN = r"""
backup:
  description: What is in it, under C(objects), C(revision), C(datastore) and C(node).
  type: dict
  returned: success
"""
