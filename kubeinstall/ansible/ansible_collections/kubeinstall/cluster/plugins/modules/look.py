#!/usr/bin/python
"""Ansible module: what a host is and has. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: What a host is and has, and whether it may take part
description:
  - One round trip by the host's shell. Run it on every host before any is changed.
  - Refuses a host whose Python, machine or clock differs from the controller's, one that a bundle is not for, and one
    that runs another runtime.
  - Changes nothing; the same in check mode.
options:
  archive:
    description: The runtime archive, as the C(plan) module returns it.
    type: dict
    required: true
  packages:
    description: Debian package to a command that makes it unnecessary; those that the host lacks are told.
    type: dict
    default: {}
  bundle:
    description: What packages come from, as the C(plan) module returns it; empty for the mirror.
    type: dict
    default: {}
  any_host:
    description: Judge nothing but whether commands run as root.
    type: bool
    default: false
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Look at the host
  kubeinstall.cluster.look:
    archive: "{{ kubeinstall_planned.archive }}"
  register: kubeinstall_look
"""

RETURN = r"""
found:
  description: What the host said, as the C(runtime) module takes it.
  type: dict
  returned: success
"""
